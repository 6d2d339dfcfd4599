/*
 * How much of a purge, an erasure or a move to the archive makes a part, a transaction of its own. The same for all
 * databases.
 *
 * Others wait for a part: all writers on SQLite, on PostgreSQL those that append to the conversations in it, or to one
 * that shares a segment of the search index with them. Measured with two busy cores: 10 to 40 ms.
 */
#ifndef CONVSTORE_CORE_PART_SIZE_H
#define CONVSTORE_CORE_PART_SIZE_H

enum {
  CONVSTORE_PART_CONVERSATIONS = 100,
  CONVSTORE_PART_MESSAGES = 1000,
  /* Runs that a purge takes out of the search index. Each may take a segment with it: some 130 rows, and a mark on each
   * conversation that has messages there. A segment goes once, so this costs few parts. */
  CONVSTORE_PART_RUNS = 4
};

#endif
