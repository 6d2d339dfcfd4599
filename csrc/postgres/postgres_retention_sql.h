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

/* The conversations of the part, and the last message of each that stays: 0 but for one that is too long. */
#define PART                                                                                                 \
  "jsonb_to_recordset(CAST(current_setting('convstore.part') AS jsonb))"                                     \
  " AS p(user_id {{user_id_type}}, id uuid, last_seq bigint, kept bigint)"

/* Which conversations. $1 deleted before, $2 written before (NULL: none for that reason); $1 the user. */
#define OLD_DELETED "c.deleted_at < CAST($1 AS timestamptz)"
#define OLD_LIVE "c.updated_at < CAST($2 AS timestamptz) AND c.archived_at IS NULL"
#define OLD_ARCHIVED "c.updated_at < CAST($2 AS timestamptz) AND c.archived_at IS NOT NULL"
#define IDLE OLD_LIVE " AND c.deleted_at IS NULL AND CAST($1 AS timestamptz) IS NULL"
#define USERS_OWN "c.user_id = " USER " AND CAST($2 AS timestamptz) IS NULL"

/* The first $3 of them in the order of an index, locked. */
#define LOCKED(where, order, lock)                                                                           \
  "(SELECT c.user_id, c.id, c.last_seq FROM " CONVERSATIONS " AS c WHERE " where " ORDER BY " order          \
  " LIMIT CAST($3 AS bigint) FOR " lock ")"
#define LOCKED_OLD(skip)                                                                                     \
  "SELECT * FROM " LOCKED(OLD_DELETED, "c.deleted_at", "UPDATE" skip) " AS d UNION SELECT * FROM " LOCKED(   \
      OLD_LIVE, "c.updated_at", "UPDATE" skip) " AS l UNION SELECT * FROM " LOCKED(OLD_ARCHIVED,             \
                                                                                   "c.updated_at",           \
                                                                                   "UPDATE" skip) " AS a"
#define LOCKED_IDLE(skip) "SELECT * FROM " LOCKED(IDLE, "c.updated_at", "NO KEY UPDATE" skip) " AS i"
#define LOCKED_USERS(skip) "SELECT * FROM " LOCKED(USERS_OWN, "c.id", "UPDATE" skip) " AS u"

/* As many of these as have room for, with $4 messages, the last one shrunk to fit or, where it cannot be, left out
 * unless it is the first. */
#define COUNTED                                                                                              \
  "counted AS (SELECT f.*, coalesce(CAST(sum(f.last_seq) OVER (ORDER BY f.place"                             \
  " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bigint), 0) AS before"                              \
  " FROM (SELECT f.*, row_number() OVER () AS place FROM found AS f LIMIT CAST($3 AS bigint)) AS f)"
#define SHRUNK                                                                                               \
  "SELECT user_id, id, last_seq, greatest(last_seq - (CAST($4 AS bigint) - before), 0) AS kept"              \
  " FROM counted WHERE before < CAST($4 AS bigint)"
#define WHOLE                                                                                                \
  "SELECT user_id, id, last_seq, 0 AS kept FROM counted"                                                     \
  " WHERE place = 1 OR before + last_seq <= CAST($4 AS bigint)"
#define PICK(found, part)                                                                                    \
  "WITH found AS MATERIALIZED (" found "), " COUNTED ", part AS (" part ")"                                  \
  " SELECT set_config('convstore.part',"                                                                     \
  " CAST(coalesce((SELECT jsonb_agg(to_jsonb(part)) FROM part), '[]') AS text), true)"

#define PART_SEGMENTS                                                                                        \
  "SELECT DISTINCT r.user_id, r.segment_id FROM " PART " JOIN " RUNS                                         \
  " AS r ON r.user_id = p.user_id AND r.conversation_id = p.id AND r.last_seq > p.kept"
#define SHRUNK_MESSAGES(table)                                                                               \
  "DELETE FROM " table " AS t USING p WHERE t.user_id = p.user_id AND t.conversation_id = p.id"              \
  " AND t.seq > p.kept RETURNING t.token_count, t.role"

/* How many conversations and messages are gone, how many conversations the part was about, and whether others are
 * left, locked or not. */
#define LEFT(where) "EXISTS (SELECT FROM " CONVERSATIONS " AS c WHERE " where ")"
#define DONE(left)                                                                                           \
  "SELECT count(*) FILTER (WHERE p.kept = 0), CAST(coalesce(sum(p.last_seq - p.kept), 0) AS bigint),"        \
  " count(*), " left " FROM " PART

#endif
