/* core/migrate.c: plans from made-up steps, without any database. */
#include "../core/migrate.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static const struct convstore_migration_step steps[] = {
    {.version = 1, .name = "init", .checksum = "1111111111111111", .up = "up 1", .down = "down 1"},
    {.version = 2, .name = "add_search", .checksum = "2222222222222222", .up = "up 2", .down = "down 2"},
    {.version = 3, .name = "add_tags", .checksum = "3333333333333333", .up = "up 3", .down = "down 3"},
};
enum {
  N_STEPS = sizeof steps / sizeof *steps,
  MAX_APPLIED = 8
};

/* What a database has that was migrated to `version`, by this library or by one that knows more steps. */
static void apply(struct convstore_migration_applied applied[MAX_APPLIED], int version) {
  memset(applied, 0, MAX_APPLIED * sizeof *applied);
  for (int i = 0; i < version; i++) {
    applied[i].version = i + 1;
    snprintf(applied[i].name, sizeof applied[i].name, "%s", i < N_STEPS ? steps[i].name : "from_the_future");
    snprintf(applied[i].checksum, sizeof applied[i].checksum, "%s",
             i < N_STEPS ? steps[i].checksum : "ffffffffffffffff");
    applied[i].applied_at_ms = 1000 * (i + 1);
  }
}

static int plan_from(struct convstore_migration_plan *plan, int version, int64_t target,
                     convstore_error *err) {
  struct convstore_migration_applied applied[MAX_APPLIED];
  apply(applied, version);
  return convstore__migrate_plan(plan, steps, N_STEPS, applied, (size_t)version, target, err);
}

/* The steps of a plan as text: "up 1, up 2, ". */
static const char *described(const struct convstore_migration_plan *plan) {
  static char text[200];
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < plan->n; i++) {
    const struct convstore_migration_step *step = convstore__migrate_step(plan, steps, i);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s, ", plan->up ? step->up : step->down);
  }
  return text;
}

static void test_migrate_plan__runs_what_lies_between(void) {
  static const struct {
    int from;
    int64_t target;
    const char *run;
  } cases[] = {
      {0, CONVSTORE_ABSENT, "up 1, up 2, up 3, "},
      {0, 1, "up 1, "},
      {1, 3, "up 2, up 3, "},
      {2, CONVSTORE_ABSENT, "up 3, "},
      {3, CONVSTORE_ABSENT, ""},
      {2, 2, ""},
      {0, 0, ""},
      {3, 0, "down 3, down 2, down 1, "},
      {3, 2, "down 3, "},
      {2, 1, "down 2, "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct convstore_migration_plan plan;
    check_doing("from %d to %lld", cases[i].from, (long long)cases[i].target);
    CHECK_INT(plan_from(&plan, cases[i].from, cases[i].target, NULL), CONVSTORE_OK);
    CHECK_STRING(described(&plan), cases[i].run);
    CHECK_INT(plan.current, cases[i].from);
    CHECK_INT(plan.target, cases[i].target == CONVSTORE_ABSENT ? N_STEPS : cases[i].target);
  }
}

static void test_migrate_plan__refuses_targets_that_do_not_exist(void) {
  static const int64_t targets[] = {-1, 4, INT64_MAX, INT64_MIN + 1, INT64_C(1) << 32};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    struct convstore_migration_plan plan = {.n = 77};
    convstore_error err;
    CHECK_INT(plan_from(&plan, 2, targets[i], &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "target");
    CHECK_INT((int64_t)plan.n, 77);
  }
}

static void test_migrate_plan__refuses_a_newer_database(void) {
  static const int64_t targets[] = {CONVSTORE_ABSENT, 0, 3, 5};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    struct convstore_migration_plan plan;
    convstore_error err;
    CHECK_INT(plan_from(&plan, 5, targets[i], &err), CONVSTORE_E_SCHEMA);
    CHECK_STRING(err.message,
                 "schema: the database has schema version 5 and this library knows 3: update convstore");
  }
}

static void test_migrate_check__gives_the_version_even_of_a_newer_database(void) {
  for (int version = 0; version <= 5; version++) {
    struct convstore_migration_applied applied[MAX_APPLIED];
    int got = -1;
    apply(applied, version);
    CHECK_INT(convstore__migrate_check(&got, steps, N_STEPS, applied, (size_t)version, NULL), CONVSTORE_OK);
    CHECK_INT(got, version);
  }
}

/* Both functions refuse `applied`, and say `why`. */
static void refused(const struct convstore_migration_applied *applied, size_t n, const char *why) {
  int version = 77;
  struct convstore_migration_plan plan;
  convstore_error err;
  CHECK_INT(convstore__migrate_check(&version, steps, N_STEPS, applied, n, &err), CONVSTORE_E_SCHEMA);
  CHECK_HAS(err.message, why);
  CHECK_INT(version, 77);
  CHECK_INT(convstore__migrate_plan(&plan, steps, N_STEPS, applied, n, 0, &err), CONVSTORE_E_SCHEMA);
  CHECK_HAS(err.message, why);
}

static void test_migrate_check__refuses_an_edited_step(void) {
  struct convstore_migration_applied applied[MAX_APPLIED];
  apply(applied, 3);
  memcpy(applied[1].checksum, "2222222222222223", 17);
  refused(applied, 3, "migration 2 (add_search) was edited");
  refused(applied, 2, "migration 2 (add_search) was edited");
}

static void test_migrate_check__refuses_a_step_of_another_name(void) {
  struct convstore_migration_applied applied[MAX_APPLIED];
  apply(applied, 1);
  memcpy(applied[0].name, "other", 6);
  refused(applied, 1, "migration 1 is 'other' in the database but 'init' in this library");
}

static void test_migrate_check__refuses_gaps_repeats_and_odd_numbers(void) {
  static const struct {
    int versions[3];
    size_t n;
    const char *why;
  } cases[] = {
      {{2, 3, 0}, 2, "has version 2 where 1 belongs"}, {{1, 3, 0}, 2, "has version 3 where 2 belongs"},
      {{1, 1, 2}, 3, "has version 1 where 2 belongs"}, {{1, 2, 4}, 3, "has version 4 where 3 belongs"},
      {{0, 1, 2}, 3, "has version 0 where 1 belongs"}, {{-1, 1, 2}, 3, "has version -1 where 1 belongs"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct convstore_migration_applied applied[MAX_APPLIED];
    apply(applied, 3);
    for (size_t k = 0; k < cases[i].n; k++) applied[k].version = cases[i].versions[k];
    check_doing("case %zu", i);
    refused(applied, cases[i].n, cases[i].why);
  }
}

static void test_migrate_check__refuses_a_gap_among_newer_steps(void) {
  struct convstore_migration_applied applied[MAX_APPLIED];
  apply(applied, 5);
  applied[4].version = 6;
  refused(applied, 5, "has version 6 where 5 belongs");
}

static const struct check_test tests[] = {
    TEST(test_migrate_plan__runs_what_lies_between),
    TEST(test_migrate_plan__refuses_targets_that_do_not_exist),
    TEST(test_migrate_plan__refuses_a_newer_database),
    TEST(test_migrate_check__gives_the_version_even_of_a_newer_database),
    TEST(test_migrate_check__refuses_an_edited_step),
    TEST(test_migrate_check__refuses_a_step_of_another_name),
    TEST(test_migrate_check__refuses_gaps_repeats_and_odd_numbers),
    TEST(test_migrate_check__refuses_a_gap_among_newer_steps),
};
CHECK_MAIN(tests)
