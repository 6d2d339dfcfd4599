/*
 * The SQL of a check, for the table in sqlite_statements.c, which includes this and has defined the names of tables.
 * Each finding is a row of problem, user_id, conversation_id, words. Messages are read once, in the order of their
 * primary key; everything else is about conversations, and small.
 */
#ifndef CONVSTORE_SQLITE_CHECK_SQL_H
#define CONVSTORE_SQLITE_CHECK_SQL_H

/* What the messages of a table say of each conversation: how many, the first and the last, the first that is missing,
 * their sums, the running total before the first and at the last, and the first one whose running total does not follow
 * from the one before. `before` is what comes before the first: 0 or NULL. */
#define CHECK_MESSAGES(table, before)                                                                         \
  "(SELECT user_id, conversation_id AS id, count(*) AS n, min(seq) AS first, max(seq) AS last,"               \
  " min(iif(seq <> before + 1, before + 1, NULL)) AS missing, CAST(total(token_count) AS INTEGER) AS tokens," \
  " CAST(total(token_count - unpinned) AS INTEGER) AS pinned,"                                                \
  " max(iif(before IS NULL, token_total - unpinned, NULL)) AS start, max(token_total) AS total,"              \
  " min(iif(seq = before + 1 AND token_total - total_before <> unpinned, seq, NULL)) AS wrong"                \
  " FROM (SELECT user_id, conversation_id, seq, token_count, token_total,"                                    \
  " iif(role IN ('system', 'developer'), 0, token_count) AS unpinned,"                                        \
  " lag(seq, 1, " before ") OVER one AS before, lag(token_total, 1, " before ") OVER one AS total_before"     \
  " FROM " table " WINDOW one AS (PARTITION BY user_id, conversation_id ORDER BY seq)) GROUP BY 1, 2)"

/* Each conversation with its messages: the archived ones, and behind them the others. */
#define CHECK_CONVERSATIONS                                                                                  \
  "(SELECT c.user_id, c.id, c.last_seq, c.token_count, c.pinned_token_count, c.archived_seq,"                \
  " a.last AS a_last, l.first AS l_first, ifnull(l.first <= a.last, 0) AS mixed,"                            \
  " ifnull(a.n, 0) + ifnull(l.n, 0) AS n, coalesce(l.last, a.last, 0) AS last,"                              \
  " coalesce(a.missing, iif(l.first <> ifnull(a.last, 0) + 1, ifnull(a.last, 0) + 1, NULL), l.missing)"      \
  " AS missing, ifnull(a.tokens, 0) + ifnull(l.tokens, 0) AS tokens,"                                        \
  " ifnull(a.pinned, 0) + ifnull(l.pinned, 0) AS pinned,"                                                    \
  " coalesce(a.wrong, iif(l.first = ifnull(a.last, 0) + 1 AND l.start <> ifnull(a.total, 0),"                \
  " l.first, NULL), l.wrong) AS wrong FROM convstore_conversations AS c"                                     \
  " LEFT JOIN live AS l USING (user_id, id) LEFT JOIN archived AS a USING (user_id, id))"

/* What the index says of each conversation. */
#define CHECK_RUNS                                                                                           \
  "(SELECT user_id, conversation_id AS id, count(*) AS n,"                                                   \
  " CAST(total(last_seq - first_seq + 1) AS INTEGER) AS covered,"                                            \
  " max(last_seq) AS last, min(iif(first_seq <= last_before, first_seq, NULL)) AS overlap FROM"              \
  " (SELECT user_id, conversation_id, first_seq, last_seq, lag(last_seq, 1, 0) OVER"                         \
  " (PARTITION BY user_id, conversation_id ORDER BY first_seq) AS last_before FROM convstore_search_runs)"   \
  " GROUP BY 1, 2)"

#define CHECK_COUNTERS                                                                                       \
  "SELECT 'counter' AS problem, user_id, id, CASE"                                                           \
  " WHEN last_seq <> last THEN 'last_seq is ' || last_seq || ', and the last message ' || last"              \
  " WHEN missing IS NULL AND token_count <> tokens"                                                          \
  " THEN 'token_count is ' || token_count || ', and the messages have ' || tokens"                           \
  " WHEN missing IS NULL AND pinned_token_count <> pinned"                                                   \
  " THEN 'pinned_token_count is ' || pinned_token_count || ', and the messages have ' || pinned"             \
  " WHEN wrong IS NOT NULL THEN 'token_total of message ' || wrong || ' does not follow from the one"        \
  " before' END AS detail FROM conversations WHERE NOT mixed"
#define CHECK_GAPS                                                                                           \
  "SELECT 'gap', user_id, id, 'missing messages: ' || (last - n) || ', the first of them ' || missing"       \
  " FROM conversations WHERE missing IS NOT NULL AND NOT mixed"
#define CHECK_PLACES                                                                                         \
  "SELECT 'misplaced', user_id, id, CASE WHEN a_last > archived_seq"                                         \
  " THEN 'message ' || a_last || ' lies in " ARCHIVE "' ELSE 'message ' || l_first ||"                       \
  " ' lies in " LIVE "' END || ', and archived_seq is ' || archived_seq"                                     \
  " FROM conversations WHERE a_last > archived_seq OR l_first <= archived_seq"

/* Rows of `table`, in groups of `n`, whose conversation is not there. */
#define CHECK_LOST(table, name)                                                                              \
  "SELECT 'orphan', t.user_id, t.id, 'rows in " name                                                         \
  " that belong to no conversation: ' || CAST(total(t.n) AS INTEGER) FROM " table                            \
  " AS t LEFT JOIN convstore_conversations AS c USING (user_id, id) WHERE c.id IS NULL GROUP BY 2, 3"
#define CHECK_GROUPS(table)                                                                                  \
  "(SELECT user_id, conversation_id AS id, count(*) AS n FROM " table " GROUP BY 1, 2)"
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
  " LEFT JOIN runs AS r ON r.user_id = c.user_id AND r.id = c.id"
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
  "WITH live AS MATERIALIZED " CHECK_MESSAGES(LIVE, "NULL") ", archived AS MATERIALIZED " CHECK_MESSAGES(    \
      ARCHIVE, "0") ", conversations AS MATERIALIZED " CHECK_CONVERSATIONS                                   \
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
