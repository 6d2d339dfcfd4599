/*
 * Which steps a migration runs. Pure: it compares a backend's list of steps with what a database says was applied.
 * It knows no dialect and does no I/O; the backend calls it inside its own lock, so the plan holds until the commit.
 */
#ifndef CONVSTORE_CORE_MIGRATE_H
#define CONVSTORE_CORE_MIGRATE_H

#include "../convstore.h"

/* A step, embedded at build time from NNNN_name.up.sql and .down.sql. */
struct convstore_migration_step {
  int version;          /* 1, 2, 3 ... without gaps */
  const char *name;     /* "init" of 0001_init */
  const char *checksum; /* of both files, 16 hex digits */
  const char *up;
  const char *down;
};

/* A row of the database's own list of applied steps. */
struct convstore_migration_applied {
  int version;
  char name[128];
  char checksum[17];
  int64_t applied_at_ms;
};

struct convstore_migration_plan {
  int current; /* the version now */
  int target;
  bool up;
  size_t n; /* steps to run: versions current + 1 ... target, or current ... target + 1 */
};

/*
 * Checks the applied steps, in ascending order, against the known ones: the same versions from 1 on, names and
 * checksums as embedded.
 * *version is the highest applied one, which may be newer than any known (no error here).
 * E_SCHEMA: a gap, or an edited or foreign step.
 */
int convstore__migrate_check(int *version, const struct convstore_migration_step *steps, size_t n_steps,
                             const struct convstore_migration_applied *applied, size_t n_applied,
                             convstore_error *err);

/*
 * The plan from what is applied to `target` (CONVSTORE_ABSENT: the newest known).
 * E_SCHEMA as above, and where the database is newer than this library; E_INVALID: no such target.
 */
int convstore__migrate_plan(struct convstore_migration_plan *out,
                            const struct convstore_migration_step *steps, size_t n_steps,
                            const struct convstore_migration_applied *applied, size_t n_applied,
                            int64_t target, convstore_error *err);

/* The step to run as the i-th of a plan, counted from 0. */
const struct convstore_migration_step *convstore__migrate_step(const struct convstore_migration_plan *plan,
                                                               const struct convstore_migration_step *steps,
                                                               size_t i);

#endif
