/*
 * The SQL of a check, for the table in sqlite_statements.c, which includes this and has defined the names of tables.
 * Each finding is a row of problem, user_id, conversation_id, words. Messages are read once, in the order of their
 * primary key; everything else is about conversations, and small.
 */
#ifndef CONVSTORE_SQLITE_CHECK_SQL_H
#define CONVSTORE_SQLITE_CHECK_SQL_H

/* What the messages of a table say of each conversation: how many, the last, the first that is missing, their sums, and
 * the first one whose running total does not follow from the one before. */
#define CHECK_MESSAGES(table)                                                                                         \
  "(SELECT user_id, conversation_id, count(*) AS n, max(seq) AS last,"                                                \
  " min(iif(seq <> seq_before + 1, seq_before + 1, NULL)) AS missing, CAST(total(token_count) AS INTEGER) AS tokens," \
  " CAST(total(iif(pinned, token_count, 0)) AS INTEGER) AS pinned,"                                                   \
  " min(iif(seq = seq_before + 1 AND token_total - total_before <> iif(pinned, 0, token_count), seq, NULL))"          \
  " AS wrong FROM (SELECT user_id, conversation_id, seq, token_count, token_total,"                                   \
  " role IN ('system', 'developer') AS pinned, lag(seq, 1, 0) OVER one AS seq_before,"                                \
  " lag(token_total, 1, 0) OVER one AS total_before FROM " table                                                      \
  " WINDOW one AS (PARTITION BY user_id, conversation_id ORDER BY seq)) GROUP BY user_id, conversation_id)"

/* Each conversation with its messages, from whichever table has them. */
#define CHECK_CONVERSATIONS                                                                                  \
  "(SELECT c.user_id, c.id, c.last_seq, c.token_count, c.pinned_token_count,"                                \
  " c.archived_at IS NOT NULL AS archived, l.n IS NOT NULL AS has_live, a.n IS NOT NULL AS has_archived,"    \
  " coalesce(l.n, a.n, 0) AS n, coalesce(l.last, a.last, 0) AS last, coalesce(l.missing, a.missing) AS"      \
  " missing, coalesce(l.tokens, a.tokens, 0) AS tokens, coalesce(l.pinned, a.pinned, 0) AS pinned,"          \
  " coalesce(l.wrong, a.wrong) AS wrong FROM convstore_conversations AS c"                                   \
  " LEFT JOIN live AS l ON l.user_id = c.user_id AND l.conversation_id = c.id"                               \
  " LEFT JOIN archived AS a ON a.user_id = c.user_id AND a.conversation_id = c.id)"

/* What the index says of each conversation. */
#define CHECK_RUNS                                                                                                \
  "(SELECT user_id, conversation_id, count(*) AS n, CAST(total(last_seq - first_seq + 1) AS INTEGER) AS covered," \
  " max(last_seq) AS last, min(iif(first_seq <= last_before, first_seq, NULL)) AS overlap FROM"                   \
  " (SELECT user_id, conversation_id, first_seq, last_seq, lag(last_seq, 1, 0) OVER"                              \
  " (PARTITION BY user_id, conversation_id ORDER BY first_seq) AS last_before FROM convstore_search_runs)"        \
  " GROUP BY user_id, conversation_id)"

#define CHECK_COUNTERS                                                                                       \
  "SELECT 'counter' AS problem, user_id, id, CASE"                                                           \
  " WHEN last_seq <> last THEN 'last_seq is ' || last_seq || ', and the last message ' || last"              \
  " WHEN missing IS NULL AND token_count <> tokens"                                                          \
  " THEN 'token_count is ' || token_count || ', and the messages have ' || tokens"                           \
  " WHEN missing IS NULL AND pinned_token_count <> pinned"                                                   \
  " THEN 'pinned_token_count is ' || pinned_token_count || ', and the messages have ' || pinned"             \
  " WHEN wrong IS NOT NULL THEN 'token_total of message ' || wrong || ' does not follow from the one"        \
  " before' END AS detail FROM conversations WHERE NOT (has_live AND has_archived)"
#define CHECK_GAPS                                                                                           \
  "SELECT 'gap', user_id, id, iif(last - n = 1, 'message ' || missing || ' is missing', (last - n) ||"       \
  " ' messages are missing, the first of them ' || missing)"                                                 \
  " FROM conversations WHERE missing IS NOT NULL AND NOT (has_live AND has_archived)"
#define CHECK_PLACES                                                                                         \
  "SELECT 'misplaced', user_id, id, CASE WHEN has_live AND has_archived THEN 'messages lie in both tables'"  \
  " WHEN archived THEN 'it is archived, and its messages lie in " LIVE                                       \
  "' ELSE 'it is not archived, and its messages lie in " ARCHIVE                                             \
  "' END FROM conversations WHERE (has_live AND archived) OR (has_archived AND NOT archived)"

/* Rows of `table`, in groups of `n`, whose conversation is not there. */
#define CHECK_LOST(table, name)                                                                              \
  "SELECT 'orphan', t.user_id, t.conversation_id, 'rows in " name                                            \
  " that belong to no conversation: ' || CAST(total(t.n) AS INTEGER) FROM " table                            \
  " AS t LEFT JOIN convstore_conversations AS c ON c.user_id = t.user_id AND c.id = t.conversation_id"       \
  " WHERE c.id IS NULL GROUP BY t.user_id, t.conversation_id"
#define CHECK_GROUPS(table)                                                                                  \
  "(SELECT user_id, conversation_id, count(*) AS n FROM " table " GROUP BY user_id, conversation_id)"
#define CHECK_LOST_PARTS(table)                                                                              \
  "SELECT 'orphan', t.user_id, NULL, 'rows in " table                                                        \
  " that belong to no segment (' || t.segment_id || '): ' || t.n FROM"                                       \
  " (SELECT user_id, segment_id, count(*) AS n FROM " table                                                  \
  " GROUP BY user_id, segment_id) AS t LEFT JOIN convstore_search_segments AS s"                             \
  " ON s.user_id = t.user_id AND s.id = t.segment_id WHERE s.id IS NULL"

#define CHECK_SEARCH                                                                                            \
  "SELECT 'search' AS problem, c.user_id, c.id, CASE"                                                           \
  " WHEN r.overlap IS NOT NULL THEN 'message ' || r.overlap || ' is indexed twice'"                             \
  " WHEN r.last > c.last_seq THEN 'messages are indexed up to ' || r.last || ', and the last is '"              \
  " || c.last_seq WHEN c.search_pending = 0 AND coalesce(r.covered, 0) <> c.last_seq"                           \
  " THEN 'messages that count as indexed and are not: ' || (c.last_seq - coalesce(r.covered, 0)) END AS detail" \
  " FROM convstore_conversations AS c"                                                                          \
  " LEFT JOIN runs AS r ON r.user_id = c.user_id AND r.conversation_id = c.id"
#define CHECK_SEGMENTS                                                                                             \
  "SELECT 'search', s.user_id, s.conversation_id, 'segment ' || s.id || ' has ' || s.n_messages ||"                \
  " ' messages, and its runs have ' || coalesce(r.n, 0) FROM convstore_search_segments AS s LEFT JOIN"             \
  " (SELECT user_id, segment_id, CAST(total(last_seq - first_seq + 1) AS INTEGER) AS n FROM convstore_search_runs" \
  " GROUP BY user_id, segment_id) AS r ON r.user_id = s.user_id AND r.segment_id = s.id"                           \
  " WHERE s.n_messages <> coalesce(r.n, 0)"
#define CHECK_SUMMARIES                                                                                        \
  "SELECT 'summary' AS problem, s.user_id, s.conversation_id AS id, 'a summary stands for messages up to ' ||" \
  " max(s.through) || ', and the last is ' || c.last_seq AS detail FROM convstore_summaries AS s"              \
  " JOIN convstore_conversations AS c ON c.user_id = s.user_id AND c.id = s.conversation_id"                   \
  " WHERE s.through > c.last_seq GROUP BY s.user_id, s.conversation_id"
/* Every index of the migrations that no constraint has made. */
#define CHECK_INDEXES                                                                                        \
  "SELECT 'schema', NULL, NULL, 'the index ' || column1 || ' is missing' FROM (VALUES"                       \
  " ('convstore_conversations_user_id_key_key'), ('convstore_conversations_user_id_updated_at_idx'),"        \
  " ('convstore_conversations_user_id_created_at_idx'), ('convstore_conversations_user_id_deleted_idx'),"    \
  " ('convstore_conversations_deleted_at_idx'), ('convstore_conversations_updated_at_idx'),"                 \
  " ('convstore_conversations_archived_updated_at_idx'),"                                                    \
  " ('convstore_conversations_search_pending_idx'), ('convstore_messages_user_id_created_at_idx'),"          \
  " ('convstore_messages_pinned_idx'), ('convstore_messages_archive_user_id_created_at_idx'),"               \
  " ('convstore_messages_archive_pinned_idx'), ('convstore_search_segments_conversation_id_idx'),"           \
  " ('convstore_search_runs_segment_id_idx'))"                                                               \
  " WHERE column1 NOT IN (SELECT name FROM sqlite_schema WHERE type = 'index')"

#define CHECK_USER "iif(user_id IS NULL, '', 'user \"' || user_id || '\": ') || detail"

/* The findings of a statement; ?1 rows at most. */
#define FINDINGS(rows)                                                                                       \
  " SELECT problem, id, " CHECK_USER " FROM (" rows ") WHERE detail IS NOT NULL ORDER BY problem, id LIMIT ?1"
#define AND " UNION ALL "
#define CHECK_OF_MESSAGES                                                                                    \
  "WITH live AS MATERIALIZED " CHECK_MESSAGES(LIVE) ", archived AS MATERIALIZED " CHECK_MESSAGES(            \
      ARCHIVE) ", conversations AS MATERIALIZED " CHECK_CONVERSATIONS                                        \
  FINDINGS(CHECK_COUNTERS AND CHECK_GAPS AND CHECK_PLACES AND CHECK_LOST("live", LIVE)                       \
               AND CHECK_LOST("archived", ARCHIVE))
#define CHECK_OF_SEARCH                                                                                      \
  "WITH runs AS MATERIALIZED " CHECK_RUNS FINDINGS(                                                          \
      CHECK_SEARCH AND CHECK_SEGMENTS AND CHECK_LOST(CHECK_GROUPS("convstore_search_segments"),              \
                                                     "convstore_search_segments")                            \
          AND CHECK_LOST("runs", "convstore_search_runs") AND CHECK_LOST_PARTS("convstore_search_runs")      \
              AND CHECK_LOST_PARTS("convstore_search_postings"))
#define CHECK_OF_THE_REST                                                                                    \
  FINDINGS(CHECK_SUMMARIES AND CHECK_LOST(CHECK_GROUPS("convstore_summaries"), "convstore_summaries")        \
               AND CHECK_INDEXES)

/* The users that conversations refer to, where the schema was made with a table of them. */
#define CHECK_FOREIGN_KEYS                                                                                   \
  "SELECT 'foreign_keys', c.id, 'user \"' || c.user_id || '\" is not in ' || f.parent"                       \
  " FROM pragma_foreign_key_check('convstore_conversations') AS f"                                           \
  " JOIN convstore_conversations AS c ON c.rowid = f.rowid LIMIT ?1"

#define QUICK_CHECK                                                                                          \
  "SELECT 'damage', NULL, replace(quick_check, char(10), '; ') FROM pragma_quick_check(1001)"                \
  " WHERE quick_check <> 'ok' LIMIT ?1"

#endif
