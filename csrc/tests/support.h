/*
 * What tests with a real database share: files of their own, plain SQL beside the library, and the question
 * whether a database is in order. Knows SQLite, not how the library uses it.
 */
#ifndef CONVSTORE_TESTS_SUPPORT_H
#define CONVSTORE_TESTS_SUPPORT_H

#include "../convstore.h"

/* The path of a file in this program's own folder, which is removed when it ends. There may be 32 names. */
const char *support_path(const char *name);

/* A copy of a database file that is open nowhere, without what was left beside `to`. */
void support_copy(const char *to, const char *from);

/* A store on a file; a failed check and NULL if it does not open. */
convstore *support_open(const char *path, const convstore_options *options);

/* Runs plain SQL on a file, by a connection of its own that minds no CHECK constraint. */
void support_sql(const char *path, const char *sql);
/* The integer that a query answers. */
int64_t support_number(const char *path, const char *sql);
/* A number that stands for all rows of our tables. */
uint64_t support_fingerprint(const char *path);
/* Checks that pages, keys, counters and seqs are in order. */
void support_check_database(const char *path);

/* A clock that stands still, for rows that can be compared: convstore__wall_ms = support_clock. */
int64_t support_clock(void);

/* FNV-1a, 64 bits: `hash` is 0 to begin, or what came out before. */
uint64_t support_hash(uint64_t hash, const void *data, size_t size);
/* A number that stands for everything in a result. */
uint64_t support_hash_result(const convstore_result *result);

#endif
