/*
 * One small database, and one run of each operation on it: what the tests of faults repeat with a fault at
 * each place. Ids and the clock are fixed, so a run that succeeds always leaves the same rows and gives the
 * same result.
 */
#ifndef CONVSTORE_TESTS_SCENARIO_H
#define CONVSTORE_TESTS_SCENARIO_H

#include "../convstore.h"

struct scenario {
  const char *name; /* of a search it begins with "search" */
  /* Runs it. On success *hash stands for what came back. It may be run again after a failure. */
  int (*run)(uint64_t *hash, convstore *store, convstore_error *err);
};

extern const struct scenario scenarios[];
extern const size_t n_scenarios;

/* Whether a scenario has run the operation so far in this process. */
bool scenario_has_run(convstore_operation operation);

/* Whether it is a search. What one writes is an index, no data: it may be there though the search failed after it, and
 * not be there though the search succeeded. */
bool scenario_is_search(const struct scenario *scenario);
/* Whether it takes all tables away. Of its thousands of steps a test takes some. */
bool scenario_is_migration(const struct scenario *scenario);

/* Makes the database anew, closed and without files beside it. Sets the clock to support_clock. */
void scenario_make(const char *path);

#endif
