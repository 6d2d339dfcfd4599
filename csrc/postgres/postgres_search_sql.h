/*
 * What the statements of the search index are made of: a part of postgres_statements.c, which alone includes it, behind
 * the names of the tables.
 */
#ifndef CONVSTORE_POSTGRES_SEARCH_SQL_H
#define CONVSTORE_POSTGRES_SEARCH_SQL_H

#define RUNS "{{schema}}.search_runs"
#define SEGMENTS "{{schema}}.search_segments"
#define POSTINGS "{{schema}}.search_postings"

/* The segments that hold any of messages $3 to $4. */
#define THESE_SEGMENTS                                                                                       \
  "SELECT r.segment_id FROM " RUNS " AS r WHERE r.user_id = " USER                                           \
  " AND r.conversation_id = CAST($2 AS uuid)"                                                                \
  " AND r.first_seq <= CAST($4 AS bigint) AND r.last_seq >= CAST($3 AS bigint)"

/* A part of a conversation's messages, g.first_seq to g.last_seq of g.id, where they lie. */
#define PART_OF(columns, table, where)                                                                       \
  "SELECT " columns " FROM " table " AS t WHERE " where "t.user_id = " USER                                  \
  " AND t.conversation_id = g.id AND t.seq BETWEEN g.first_seq AND g.last_seq"

/*
 * What a search reads, all in one snapshot, so that no message is in a segment and in the rest, or in neither.
 * $2 a conversation or NULL, $3 messages at most (NULL: all), $4 bytes of texts at most (NULL: all), $5 buckets, $6 the
 * number of messages from which on they will be indexed first, so that the segments are not needed (NULL: never).
 * Rows of kind 0: the conversation is there. 1: a conversations may hold b messages that are not indexed. 2: one of
 * those (a seq, b redacted). 3: segment a's messages (b NULL), and behind them its postings (b bucket).
 */
#define PENDING                                                                                              \
  "pending AS MATERIALIZED (SELECT c.id, c.last_seq, c.archived_seq FROM " CONVERSATIONS                     \
  " AS c WHERE c.user_id = " USER " AND c.search_pending AND c.deleted_at IS NULL)"
/* What lies between the runs of each; upto counts on from gap to gap. */
#define GAPS                                                                                                 \
  "gaps AS MATERIALIZED (SELECT p.id, p.archived_seq, b.first_seq, b.last_seq,"                              \
  " CAST(sum(b.last_seq - b.first_seq + 1) OVER (ORDER BY p.id, b.first_seq) AS bigint) AS upto"             \
  " FROM pending AS p CROSS JOIN LATERAL (SELECT r.last_seq + 1 AS first_seq,"                               \
  " lead(r.first_seq, 1, p.last_seq + 1) OVER (ORDER BY r.first_seq) - 1 AS last_seq"                        \
  " FROM (SELECT CAST(0 AS bigint) AS first_seq, CAST(0 AS bigint) AS last_seq UNION ALL"                    \
  " SELECT r.first_seq, r.last_seq FROM " RUNS " AS r WHERE r.user_id = " USER                               \
  " AND r.conversation_id = p.id) AS r) AS b WHERE b.first_seq <= b.last_seq)"
#define COUNTS                                                                                               \
  "counts AS MATERIALIZED (SELECT (SELECT count(*) FROM pending) AS n_conversations,"                        \
  " coalesce(max(upto), 0) AS n_messages FROM gaps)"
/* The first gaps, up to $3 messages: seqs have no gaps, so they are counted without being read. */
#define PARTS                                                                                                         \
  "parts AS (SELECT id, archived_seq, first_seq, least(last_seq, last_seq - (upto - CAST($3 AS bigint))) AS last_seq" \
  " FROM gaps WHERE CAST($3 AS bigint) IS NULL OR upto - (last_seq - first_seq + 1) < CAST($3 AS bigint))"
#define TAIL_COLUMNS "t.seq, t.role, t.created_at, t.content, t.parts, t.redacted_at"
#define TAIL_MESSAGES                                                                                        \
  PART_OF(TAIL_COLUMNS, LIVE, "g.archived_seq < g.last_seq AND ")                                            \
  " UNION ALL " PART_OF(TAIL_COLUMNS, ARCHIVE, "g.archived_seq >= g.first_seq AND ")
#define TAIL                                                                                                    \
  "tail AS (SELECT g.id, m.*, sum(coalesce(octet_length(m.content), 0) + coalesce(pg_column_size(m.parts), 0))" \
  " OVER (ORDER BY g.id, m.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before"               \
  " FROM parts AS g CROSS JOIN LATERAL (" TAIL_MESSAGES ") AS m)"

#define ROW_OF(kind, a, b, id)                                                                               \
  "SELECT " kind ", CAST(" a " AS bigint) AS a, CAST(" b " AS bigint) AS b, CAST(" id " AS uuid) AS id"
#define NO_TEXTS ", CAST(NULL AS text), CAST(NULL AS timestamptz), CAST(NULL AS text), CAST(NULL AS jsonb)"
#define NO_BYTES ", CAST(NULL AS bytea)"
#define CONVERSATION_ROW                                                                                     \
  ROW_OF("0", "NULL", "NULL", "c.id")                                                                        \
  NO_TEXTS NO_BYTES " FROM " CONVERSATIONS " AS c WHERE " THIS_CONVERSATION
#define COUNTS_ROW ROW_OF("1", "n_conversations", "n_messages", "NULL") NO_TEXTS NO_BYTES " FROM counts"
#define TAIL_ROWS                                                                                            \
  ROW_OF("2", "seq", "CAST(redacted_at IS NOT NULL AS integer)", "id")                                       \
  ", role, created_at, content, parts" NO_BYTES                                                              \
  " FROM tail WHERE CAST($4 AS bigint) IS NULL OR coalesce(bytes_before, 0) < CAST($4 AS bigint)"
#define SEGMENT_BYTES                                                                                        \
  "SELECT CAST(NULL AS bigint) AS bucket, s.messages AS bytes UNION ALL"                                     \
  " SELECT o.bucket, o.postings FROM " POSTINGS " AS o WHERE o.user_id = " USER                              \
  " AND o.segment_id = s.id AND o.bucket = ANY (CAST($5 AS bigint[])) OFFSET 0"
#define SEGMENT_ROWS                                                                                         \
  ROW_OF("3", "s.id", "p.bucket", "NULL")                                                                    \
  NO_TEXTS ", p.bytes FROM " SEGMENTS " AS s CROSS JOIN LATERAL (" SEGMENT_BYTES                             \
           ") AS p WHERE s.user_id = " USER                                                                  \
           " AND (CAST($6 AS bigint) IS NULL OR (SELECT n_messages FROM counts) < CAST($6 AS bigint))"
#define SEARCH_READ                                                                                          \
  "WITH " PENDING ", " GAPS ", " COUNTS ", " PARTS ", " TAIL " SELECT * FROM (" CONVERSATION_ROW             \
  " UNION ALL " COUNTS_ROW " UNION ALL " TAIL_ROWS " UNION ALL " SEGMENT_ROWS                                \
  ") AS found ORDER BY 1, id, a, b NULLS FIRST"

/* A segment of the runs $3 ... $4 of conversations $2, with $5 messages $6 and the postings $8 of buckets $7. No row:
 * meanwhile one of them was indexed, or purged, or more than $9 are redacted. */
#define GIVEN                                                                                                \
  "given AS (SELECT g.id, g.first_seq, g.last_seq FROM unnest(CAST($2 AS uuid[]), CAST($3 AS bigint[]),"     \
  " CAST($4 AS bigint[])) AS g(id, first_seq, last_seq))"
#define NOT_INDEXED                                                                                          \
  "NOT EXISTS (SELECT FROM given AS g JOIN " RUNS " AS r ON r.user_id = " USER                               \
  " AND r.conversation_id = g.id AND r.first_seq <= g.last_seq AND r.last_seq >= g.first_seq)"
#define REDACTED                                                                                             \
  PART_OF("t.seq", LIVE, "t.redacted_at IS NOT NULL AND ")                                                   \
  " UNION ALL " PART_OF("t.seq", ARCHIVE, "t.redacted_at IS NOT NULL AND ")
#define NOT_REDACTED                                                                                         \
  "(SELECT count(*) FROM given AS g CROSS JOIN LATERAL (" REDACTED ") AS m) = CAST($9 AS bigint)"
#define NOT_PURGED                                                                                           \
  "(SELECT count(*) FROM given AS g) = (SELECT count(*) FROM given AS g JOIN " CONVERSATIONS                 \
  " AS c ON c.user_id = " USER " AND c.id = g.id AND c.last_seq >= g.last_seq)"
#define INSERT_SEGMENT                                                                                       \
  "WITH " GIVEN ", fresh AS (SELECT 1 WHERE " NOT_INDEXED " AND " NOT_REDACTED " AND " NOT_PURGED "),"       \
  " segment AS (INSERT INTO " SEGMENTS " AS s (user_id, conversation_id, n_messages, messages) SELECT " USER \
  ", (CAST($2 AS uuid[]))[1], CAST($5 AS bigint), CAST($6 AS bytea) FROM fresh RETURNING s.id),"             \
  " runs AS (INSERT INTO " RUNS " (user_id, conversation_id, first_seq, last_seq, segment_id) SELECT " USER  \
  ", g.id, g.first_seq, g.last_seq, s.id FROM segment AS s CROSS JOIN given AS g),"                          \
  " written AS (INSERT INTO " POSTINGS " (user_id, segment_id, bucket, postings) SELECT " USER               \
  ", s.id, p.bucket, p.postings FROM segment AS s CROSS JOIN unnest(CAST($7 AS bigint[]),"                   \
  " CAST($8 AS bytea[])) AS p(bucket, postings)) SELECT s.id FROM segment AS s"

#endif
