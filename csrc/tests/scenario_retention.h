/* Runs of purge, archive and erase for scenario.c, which lists them. */
#ifndef CONVSTORE_TESTS_SCENARIO_RETENTION_H
#define CONVSTORE_TESTS_SCENARIO_RETENTION_H

#include "../convstore.h"

int scenario_purge_old(uint64_t *hash, convstore *store, convstore_error *err);
int scenario_purge_limited(uint64_t *hash, convstore *store, convstore_error *err);
int scenario_archive(uint64_t *hash, convstore *store, convstore_error *err);
int scenario_erase(uint64_t *hash, convstore *store, convstore_error *err);
/* A part that takes only the end of a conversation. */
int scenario_shrink(uint64_t *hash, convstore *store, convstore_error *err);

/* Adds what they are about to the database that is closed at `path`. */
void scenario_make_old(const char *path);

#endif
