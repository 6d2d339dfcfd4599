/*
 * How much of a purge, an erasure or a move to the archive makes a part, a transaction of its own. The same for all
 * databases.
 *
 * Others wait for a part: all writers on SQLite, on PostgreSQL those that append to the conversations in it, or to one
 * that shares a segment of the search index with them.
 */
#ifndef CONVSTORE_CORE_PART_SIZE_H
#define CONVSTORE_CORE_PART_SIZE_H

enum {
  CONVSTORE_PART_CONVERSATIONS = 200,
  CONVSTORE_PART_MESSAGES = 2000,
  CONVSTORE_PART_ROWS = 8000 /* of all tables: the search index has some 130 for each of its segments */
};

#endif
