/*
 * What a database says of applied migrations: the input's first line is a target, each other line "VERSION NAME
 * CHECKSUM". Against the rule said in one sentence: they are the known steps from the first on, and maybe newer ones.
 */
#include "../core/migrate.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct convstore_migration_step steps[] = {
    {1, "init", "0123456789abcdef", "up", "down"},
    {2, "add", "00000000000000aa", "up", "down"},
    {3, "drop", "00000000000000bb", "up", "down"},
};
enum {
  N_STEPS = sizeof steps / sizeof *steps,
  MOST_ROWS = 16
};

/* A number, a word and a word; what is too long is cut as a backend's reader cuts it. */
static void read_row(struct convstore_migration_applied *out, convstore_text line) {
  char *copy = fuzz_string(line);
  char *rest = copy;
  const long version = strtol(rest, &rest, 10);
  char *name = rest + strspn(rest, " ");
  size_t n_name = strcspn(name, " ");
  char *checksum = name + n_name + strspn(name + n_name, " ");
  memset(out, 0, sizeof *out);
  out->version = version >= -9 && version <= 9 ? (int)version : INT32_MAX;
  (void)snprintf(out->name, sizeof out->name, "%.*s", (int)n_name, name);
  (void)snprintf(out->checksum, sizeof out->checksum, "%s", checksum);
  free(copy);
}

static bool is_in_order(const struct convstore_migration_applied *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (rows[i].version != (int)i + 1) return false;
    if (i < N_STEPS &&
        (strcmp(rows[i].name, steps[i].name) != 0 || strcmp(rows[i].checksum, steps[i].checksum) != 0))
      return false;
  }
  return true;
}

static void check_plan(const struct convstore_migration_plan *plan, size_t n_rows, int64_t target) {
  if (target == CONVSTORE_ABSENT) target = N_STEPS;
  FUZZ_CHECK(plan->current == (int)n_rows && plan->target == target);
  int version = plan->current;
  for (size_t i = 0; i < plan->n; i++) {
    const struct convstore_migration_step *step = convstore__migrate_step(plan, steps, i);
    FUZZ_CHECK(step->version == (plan->up ? version + 1 : version));
    version += plan->up ? 1 : -1;
  }
  FUZZ_CHECK(version == target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  struct convstore_migration_applied rows[MOST_ROWS];
  struct convstore_migration_plan plan;
  convstore_error err = {0};
  size_t n = 0;
  int version = -7;
  char *first = fuzz_string(fuzz_line(&input));
  int64_t target = *first == '\0' ? CONVSTORE_ABSENT : strtoll(first, NULL, 10);
  free(first);
  while (n < MOST_ROWS && input.left > 0) read_row(&rows[n++], fuzz_line(&input));

  int status = convstore__migrate_check(&version, steps, N_STEPS, rows, n, &err);
  bool good = is_in_order(rows, n);
  FUZZ_CHECK((status == CONVSTORE_OK) == good);
  if (good) {
    FUZZ_CHECK(version == (int)n);
  } else {
    FUZZ_CHECK(status == CONVSTORE_E_SCHEMA && version == -7);
    fuzz_check_error(status, &err);
  }

  status = convstore__migrate_plan(&plan, steps, N_STEPS, rows, n, target, &err);
  if (!good || n > N_STEPS) {
    FUZZ_CHECK(status == CONVSTORE_E_SCHEMA);
  } else if (target != CONVSTORE_ABSENT && (target < 0 || target > N_STEPS)) {
    FUZZ_CHECK(status == CONVSTORE_E_INVALID);
  } else {
    FUZZ_CHECK(status == CONVSTORE_OK);
    check_plan(&plan, n, target);
  }
  if (status != CONVSTORE_OK) fuzz_check_error(status, &err);
  return 0;
}
