/*
 * What the statements of purging, erasing and archiving are made of: a part of postgres_statements.c, which alone
 * includes it, behind the names of the tables.
 *
 * The first statement of a part locks some conversations and leaves them in a setting of the transaction, where the
 * ones behind it find them. They have to be statements of their own: each sees what was stored, archived and indexed
 * until the locks were had. And they travel in one round trip, so that no lock waits for a network.
 */
#ifndef CONVSTORE_POSTGRES_RETENTION_SQL_H
#define CONVSTORE_POSTGRES_RETENTION_SQL_H

/* The conversations of the part, and the last message of each that stays: 0 but for one that is too long. Of a move to
 * the archive: the last one that is archived then. */
#define PART                                                                                                 \
  "jsonb_to_recordset(CAST(current_setting('convstore.part') AS jsonb))"                                     \
  " AS p(user_id {{user_id_type}}, id uuid, last_seq bigint, archived_seq bigint, kept bigint)"

/* Which conversations. $1 deleted before, $2 written before (NULL: none for that reason); $1 the user. */
#define OLD_DELETED "c.deleted_at < CAST($1 AS timestamptz)"
#define OLD_LIVE "c.updated_at < CAST($2 AS timestamptz) AND c.archived_at IS NULL"
#define OLD_ARCHIVED "c.updated_at < CAST($2 AS timestamptz) AND c.archived_at IS NOT NULL"
#define IDLE OLD_LIVE " AND c.deleted_at IS NULL AND CAST($1 AS timestamptz) IS NULL"
#define USERS_OWN "c.user_id = " USER " AND CAST($2 AS timestamptz) IS NULL"

/* The first $3 of them in the order of an index, locked. */
#define LOCKED(where, order, lock)                                                                           \
  "(SELECT c.user_id, c.id, c.last_seq, c.archived_seq FROM " CONVERSATIONS " AS c WHERE " where             \
  " ORDER BY " order " LIMIT CAST($3 AS bigint) FOR " lock ")"
#define LOCKED_DELETED(skip) LOCKED(OLD_DELETED, "c.deleted_at", "UPDATE" skip)
#define LOCKED_LIVE(skip) LOCKED(OLD_LIVE, "c.updated_at", "UPDATE" skip)
#define LOCKED_ARCHIVED(skip) LOCKED(OLD_ARCHIVED, "c.updated_at", "UPDATE" skip)
#define LOCKED_OLD(skip)                                                                                     \
  "SELECT * FROM " LOCKED_DELETED(skip) " AS d UNION SELECT * FROM " LOCKED_LIVE(                            \
      skip) " AS l UNION SELECT * FROM " LOCKED_ARCHIVED(skip) " AS a"
#define LOCKED_IDLE(skip) "SELECT * FROM " LOCKED(IDLE, "c.updated_at", "NO KEY UPDATE" skip) " AS i"
#define LOCKED_USERS(skip) "SELECT * FROM " LOCKED(USERS_OWN, "c.id", "UPDATE" skip) " AS u"

/* As many of these as there is room for; `before` is what the ones before them cost. A move costs its messages. */
#define COUNTED(from, cost)                                                                                  \
  "counted AS (SELECT f.*, coalesce(CAST(sum(" cost ") OVER (ORDER BY f.place"                               \
  " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bigint), 0) AS before"                              \
  " FROM (SELECT f.*, row_number() OVER () AS place FROM " from " AS f LIMIT CAST($3 AS bigint)) AS f)"
#define MOVED                                                                                                \
  COUNTED("found", "f.last_seq - f.archived_seq")                                                            \
  ", part AS (SELECT f.user_id, f.id, f.last_seq, f.archived_seq, coalesce(" NTH_FIRST                       \
  ", f.last_seq) AS kept FROM counted AS f"                                                                  \
  " WHERE f.place = 1 OR f.before + f.last_seq - f.archived_seq <= CAST($4 AS bigint))"
/* By the messages that are there: with a last_seq that is damaged it would never end. */
#define NTH_FIRST                                                                                            \
  "(SELECT t.seq FROM " LIVE " AS t WHERE f.last_seq - f.archived_seq > CAST($4 AS bigint)"                  \
  " AND t.user_id = f.user_id AND t.conversation_id = f.id AND t.seq > f.archived_seq"                       \
  " ORDER BY t.seq LIMIT 1 OFFSET CAST($4 AS bigint) - 1)"

/* A purge costs also what it takes out of the search index: each run as much as $4 / $5 messages. The last one is
 * shrunk to fit. The first, which has to be taken, may hold more than $5 runs by itself: it loses so many. */
#define RUNS_OF(f) RUNS " AS r WHERE r.user_id = " f ".user_id AND r.conversation_id = " f ".id"
#define RUN_COST "(SELECT count(*) FROM " RUNS_OF("f") ") * CAST($4 AS bigint) / CAST($5 AS bigint)"
#define COSTS "costs AS MATERIALIZED (SELECT f.*, " RUN_COST " AS runs_cost FROM found AS f)"
#define KEPT_BY_RUNS                                                                                         \
  "(SELECT r.first_seq - 1 FROM " RUNS_OF(                                                                   \
      "f") " ORDER BY r.first_seq DESC LIMIT 1 OFFSET CAST($5 AS bigint) - 1)"
/* By the messages that are there: a last_seq that is damaged would never end. */
#define ALL_LAST(table)                                                                                      \
  "SELECT t.seq FROM " table " AS t WHERE t.user_id = f.user_id AND t.conversation_id = f.id"
#define NTH_LAST                                                                                             \
  "(SELECT m.seq - 1 FROM (" ALL_LAST(LIVE) " UNION ALL " ALL_LAST(                                          \
      ARCHIVE) ") AS m"                                                                                      \
               " ORDER BY m.seq DESC LIMIT 1 OFFSET CAST($4 AS bigint) - f.before - 1)"
#define KEPT                                                                                                 \
  "greatest(0, CASE WHEN f.last_seq > CAST($4 AS bigint) - f.before THEN " NTH_LAST                          \
  " END, CASE WHEN f.place = 1 THEN " KEPT_BY_RUNS " END) AS kept"
#define COUNTED_COSTS COUNTED("costs", "f.last_seq + f.runs_cost")
#define SHRUNK_PART                                                                                          \
  "part AS (SELECT f.user_id, f.id, f.last_seq, " KEPT                                                       \
  " FROM counted AS f WHERE f.place = 1 OR f.before + f.runs_cost < CAST($4 AS bigint))"
#define SHRUNK COSTS ", " COUNTED_COSTS ", " SHRUNK_PART
#define PICK(found, part)                                                                                    \
  "WITH found AS MATERIALIZED (" found "), " part " SELECT set_config('convstore.part',"                     \
  " CAST(coalesce((SELECT jsonb_agg(to_jsonb(part)) FROM part), '[]') AS text), true)"

/* The runs are asked for by their order, which only the primary key's index has: a young table's plan read all of a
 * user's for each conversation. */
#define PART_SEGMENTS                                                                                        \
  "SELECT DISTINCT s.user_id, s.segment_id FROM " PART " CROSS JOIN LATERAL (SELECT r.user_id,"              \
  " r.segment_id FROM " RUNS_OF("p") " AND r.last_seq > p.kept ORDER BY r.first_seq OFFSET 0) AS s"
#define SHRUNK_MESSAGES(table)                                                                               \
  "DELETE FROM " table " AS t USING p WHERE t.user_id = p.user_id AND t.conversation_id = p.id"              \
  " AND t.seq > p.kept RETURNING t.token_count, t.role"

/* The same of a move to the archive: how many conversations are there wholly, and how many messages were moved. */
#define MOVE_DONE(left)                                                                                      \
  "SELECT count(*) FILTER (WHERE p.kept = p.last_seq),"                                                      \
  " CAST(coalesce(sum(p.kept - p.archived_seq), 0) AS bigint), count(*), " left " FROM " PART
/* How many conversations and messages are gone, how many conversations the part was about, and whether others are
 * left, locked or not. */
#define LEFT(where) "EXISTS (SELECT FROM " CONVERSATIONS " AS c WHERE " where ")"
#define DONE(left)                                                                                           \
  "SELECT count(*) FILTER (WHERE p.kept = 0), CAST(coalesce(sum(p.last_seq - p.kept), 0) AS bigint),"        \
  " count(*), " left " FROM " PART

#endif
