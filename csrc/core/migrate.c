/*
 * Which steps a migration runs. Pure; see migrate.h. The sentences say what a person can do about it, since a
 * refused schema is found at start-up, by somebody who did not write the steps.
 */
#include "migrate.h"

#include <string.h>

int convstore__migrate_check(int *version, const struct convstore_migration_step *steps, size_t n_steps,
                             const struct convstore_migration_applied *applied, size_t n_applied,
                             convstore_error *err) {
  for (size_t i = 0; i < n_applied; i++) {
    if (applied[i].version < 1 || (size_t)applied[i].version != i + 1)
      return convstore_fail(
          err, CONVSTORE_E_SCHEMA,
          "the database's list of migrations has version %d where %zu belongs: restore a backup",
          applied[i].version, i + 1);
    if (i >= n_steps) continue; /* of a newer library */
    if (strcmp(applied[i].name, steps[i].name) != 0)
      return convstore_fail(
          err, CONVSTORE_E_SCHEMA,
          "migration %d is '%s' in the database but '%s' in this library: another program made it",
          applied[i].version, applied[i].name, steps[i].name);
    if (strcmp(applied[i].checksum, steps[i].checksum) != 0)
      return convstore_fail(
          err, CONVSTORE_E_SCHEMA,
          "migration %d (%s) was edited: use a convstore in which its checksum is %s, not %s",
          applied[i].version, applied[i].name, applied[i].checksum, steps[i].checksum);
  }
  *version = (int)n_applied;
  return CONVSTORE_OK;
}

int convstore__migrate_plan(struct convstore_migration_plan *out,
                            const struct convstore_migration_step *steps, size_t n_steps,
                            const struct convstore_migration_applied *applied, size_t n_applied,
                            int64_t target, convstore_error *err) {
  int current = 0;
  int status = convstore__migrate_check(&current, steps, n_steps, applied, n_applied, err);
  if (status != CONVSTORE_OK) return status;
  int newest = (int)n_steps;
  if (current > newest)
    return convstore_fail(err, CONVSTORE_E_SCHEMA,
                          "the database has schema version %d and this library knows %d: update convstore",
                          current, newest);
  if (target == CONVSTORE_ABSENT) target = newest;
  if (target < 0 || target > newest)
    return convstore_fail(err, CONVSTORE_E_INVALID, "target must be a schema version from 0 to %d", newest);

  bool up = target >= current;
  *out = (struct convstore_migration_plan){
      .current = current,
      .target = (int)target,
      .up = up,
      .n = (size_t)(up ? target - current : current - target),
  };
  return CONVSTORE_OK;
}

const struct convstore_migration_step *convstore__migrate_step(const struct convstore_migration_plan *plan,
                                                               const struct convstore_migration_step *steps,
                                                               size_t i) {
  return plan->up ? &steps[(size_t)plan->current + i] : &steps[(size_t)plan->current - 1 - i];
}
