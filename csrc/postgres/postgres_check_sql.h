/*
 * The SQL of a check, for the table in postgres_statements.c, which includes this and has defined the names of tables.
 * Each finding is a row of problem, user_id, conversation_id, words. Messages are read once, in the order of their
 * primary key; everything else is about conversations, and small. The words are those of the SQLite backend.
 */
#ifndef CONVSTORE_POSTGRES_CHECK_SQL_H
#define CONVSTORE_POSTGRES_CHECK_SQL_H

#define CHECK_SEGMENTS_TABLE "{{schema}}.search_segments"
#define CHECK_RUNS_TABLE "{{schema}}.search_runs"

/* What the messages of a table say of each conversation: how many, the first and the last, the first that is missing,
 * their sums, the running total before the first and at the last, and the first one whose running total does not follow
 * from the one before. `before` is what comes before the first: 0 or NULL. */
#define CHECK_MESSAGES(table, before)                                                                        \
  "(SELECT user_id, conversation_id AS id, count(*) AS n, min(seq) AS first, max(seq) AS last,"              \
  " min(before + 1) FILTER (WHERE seq <> before + 1) AS missing, sum(token_count) AS tokens,"                \
  " sum(token_count - unpinned) AS pinned,"                                                                  \
  " max(token_total - unpinned) FILTER (WHERE before IS NULL) AS start, max(token_total) AS total,"          \
  " min(seq) FILTER (WHERE seq = before + 1 AND token_total - total_before <> unpinned) AS wrong"            \
  " FROM (SELECT user_id, conversation_id, seq, token_count, token_total,"                                   \
  " CASE WHEN role IN ('system', 'developer') THEN 0 ELSE token_count END AS unpinned,"                      \
  " lag(seq, 1, " before ") OVER one AS before,"                                                             \
  " lag(token_total, 1, " before ") OVER one AS total_before FROM " table                                    \
  " WINDOW one AS (PARTITION BY user_id, conversation_id ORDER BY seq)) AS m GROUP BY 1, 2)"

/* Each conversation with its messages: the archived ones, and behind them the others. */
#define CHECK_CONVERSATIONS                                                                                  \
  "(SELECT CAST(user_id AS text) AS user_id, id, c.last_seq, c.token_count, c.pinned_token_count,"           \
  " c.archived_seq, a.last AS a_last, l.first AS l_first, coalesce(l.first <= a.last, false) AS mixed,"      \
  " coalesce(a.n, 0) + coalesce(l.n, 0) AS n, coalesce(l.last, a.last, 0) AS last,"                          \
  " coalesce(a.missing, CASE WHEN l.first <> coalesce(a.last, 0) + 1 THEN coalesce(a.last, 0) + 1 END,"      \
  " l.missing) AS missing, coalesce(a.tokens, 0) + coalesce(l.tokens, 0) AS tokens,"                         \
  " coalesce(a.pinned, 0) + coalesce(l.pinned, 0) AS pinned,"                                                \
  " coalesce(a.wrong, CASE WHEN l.first = coalesce(a.last, 0) + 1"                                           \
  " AND l.start <> coalesce(a.total, 0) THEN l.first END, l.wrong) AS wrong FROM " CONVERSATIONS             \
  " AS c LEFT JOIN live AS l USING (user_id, id) LEFT JOIN archived AS a USING (user_id, id))"

/* What the index says of each conversation. */
#define CHECK_RUNS                                                                                           \
  "(SELECT r.user_id, r.conversation_id AS id, count(*) AS n, sum(r.last_seq - r.first_seq + 1) AS covered," \
  " max(r.last_seq) AS last, min(r.first_seq) FILTER (WHERE r.first_seq <= r.last_before) AS overlap"        \
  " FROM (SELECT r.user_id, r.conversation_id, r.first_seq, r.last_seq,"                                     \
  " lag(r.last_seq, 1, CAST(0 AS bigint)) OVER (PARTITION BY r.user_id, r.conversation_id"                   \
  " ORDER BY r.first_seq) AS last_before FROM " CHECK_RUNS_TABLE                                             \
  " AS r) AS r GROUP BY r.user_id, r.conversation_id)"

#define CHECK_COUNTERS                                                                                       \
  "SELECT 'counter' AS problem, user_id, id, CASE"                                                           \
  " WHEN last_seq <> last THEN format('last_seq is %s, and the last message %s', last_seq, last)"            \
  " WHEN missing IS NULL AND token_count <> tokens"                                                          \
  " THEN format('token_count is %s, and the messages have %s', token_count, tokens)"                         \
  " WHEN missing IS NULL AND pinned_token_count <> pinned"                                                   \
  " THEN format('pinned_token_count is %s, and the messages have %s', pinned_token_count, pinned)"           \
  " WHEN wrong IS NOT NULL"                                                                                  \
  " THEN format('token_total of message %s does not follow from the one before', wrong)"                     \
  " END AS detail FROM conversations WHERE NOT mixed"
#define CHECK_GAPS                                                                                           \
  "SELECT 'gap', user_id, id,"                                                                               \
  " format('missing messages: %s, the first of them %s', last - n, missing)"                                 \
  " FROM conversations WHERE missing IS NOT NULL AND NOT mixed"
#define CHECK_PLACES                                                                                         \
  "SELECT 'misplaced', user_id, id, CASE WHEN a_last > archived_seq"                                         \
  " THEN format('message %s lies in messages_archive', a_last)"                                              \
  " ELSE format('message %s lies in messages', l_first) END"                                                 \
  " || format(', and archived_seq is %s', archived_seq)"                                                     \
  " FROM conversations WHERE a_last > archived_seq OR l_first <= archived_seq"

/* Rows of `table`, in groups of `n`, whose conversation is not there. */
#define CHECK_LOST(table, name)                                                                              \
  "SELECT 'orphan', CAST(t.user_id AS text), t.id,"                                                          \
  " format('rows in " name " that belong to no conversation: %s', sum(t.n)) FROM " table                     \
  " AS t LEFT JOIN " CONVERSATIONS " AS c USING (user_id, id) WHERE c.id IS NULL GROUP BY 2, 3"
#define CHECK_GROUPS(table)                                                                                  \
  "(SELECT g.user_id, g.conversation_id AS id, count(*) AS n FROM " table                                    \
  " AS g GROUP BY g.user_id, g.conversation_id)"
#define CHECK_LOST_PARTS(name)                                                                               \
  "SELECT 'orphan', CAST(t.user_id AS text), CAST(NULL AS uuid),"                                            \
  " format('rows in " name " that belong to no segment (%s): %s', t.segment_id, t.n)"                        \
  " FROM (SELECT p.user_id, p.segment_id, count(*) AS n FROM {{schema}}." name                               \
  " AS p GROUP BY p.user_id, p.segment_id) AS t LEFT JOIN " CHECK_SEGMENTS_TABLE                             \
  " AS s ON s.user_id = t.user_id AND s.id = t.segment_id WHERE s.id IS NULL"

#define CHECK_SEARCH                                                                                         \
  "SELECT 'search' AS problem, CAST(c.user_id AS text) AS user_id, c.id, CASE"                               \
  " WHEN r.overlap IS NOT NULL THEN format('message %s is indexed twice', r.overlap)"                        \
  " WHEN r.last > c.last_seq"                                                                                \
  " THEN format('messages are indexed up to %s, and the last is %s', r.last, c.last_seq)"                    \
  " WHEN NOT c.search_pending AND coalesce(r.covered, 0) <> c.last_seq"                                      \
  " THEN format('messages that count as indexed and are not: %s', c.last_seq - coalesce(r.covered, 0)) END"  \
  " AS detail FROM " CONVERSATIONS " AS c"                                                                   \
  " LEFT JOIN runs AS r ON r.user_id = c.user_id AND r.id = c.id"
#define CHECK_SEGMENTS                                                                                       \
  "SELECT 'search', CAST(s.user_id AS text), s.conversation_id,"                                             \
  " format('segment %s has %s messages, and its runs have %s', s.id, s.n_messages, coalesce(r.n, 0))"        \
  " FROM " CHECK_SEGMENTS_TABLE " AS s LEFT JOIN"                                                            \
  " (SELECT q.user_id, q.segment_id, sum(q.last_seq - q.first_seq + 1) AS n FROM " CHECK_RUNS_TABLE          \
  " AS q GROUP BY q.user_id, q.segment_id) AS r ON r.user_id = s.user_id AND r.segment_id = s.id"            \
  " WHERE s.n_messages <> coalesce(r.n, 0)"
#define CHECK_SUMMARIES                                                                                      \
  "SELECT 'summary' AS problem, CAST(s.user_id AS text) AS user_id, s.conversation_id AS id,"                \
  " format('a summary stands for messages up to %s, and the last is %s', max(s.through), c.last_seq)"        \
  " AS detail FROM " SUMMARIES " AS s"                                                                       \
  " JOIN " CONVERSATIONS " AS c ON c.user_id = s.user_id AND c.id = s.conversation_id"                       \
  " WHERE s.through > c.last_seq GROUP BY s.user_id, s.conversation_id, c.last_seq"

/* Not by format(), which would make "" of a NULL. */
#define CHECK_USER "coalesce('user \"' || f.user_id || '\": ', '')"

/* The findings of a statement; $1 rows at most. */
#define FINDINGS(rows)                                                                                       \
  " SELECT f.problem, f.id, " CHECK_USER " || f.detail FROM (" rows                                          \
  ") AS f WHERE f.detail IS NOT NULL ORDER BY f.problem, f.id LIMIT CAST($1 AS bigint)"
#define AND " UNION ALL "
#define CHECK_OF_MESSAGES                                                                                    \
  "WITH live AS MATERIALIZED " CHECK_MESSAGES(LIVE, "NULL") ", archived AS MATERIALIZED " CHECK_MESSAGES(    \
      ARCHIVE, "'0'") ", conversations AS MATERIALIZED " CHECK_CONVERSATIONS                                 \
  FINDINGS(CHECK_COUNTERS AND CHECK_GAPS AND CHECK_PLACES AND CHECK_LOST("live", "messages")                 \
               AND CHECK_LOST("archived", "messages_archive"))
#define CHECK_OF_SEARCH                                                                                      \
  "WITH runs AS MATERIALIZED " CHECK_RUNS FINDINGS(                                                          \
      CHECK_SEARCH AND CHECK_SEGMENTS AND CHECK_LOST(CHECK_GROUPS(CHECK_SEGMENTS_TABLE), "search_segments")  \
          AND CHECK_LOST("runs", "search_runs") AND CHECK_LOST_PARTS("search_runs")                          \
              AND CHECK_LOST_PARTS("search_postings"))
#define CHECK_OF_SUMMARIES FINDINGS(CHECK_SUMMARIES AND CHECK_LOST(CHECK_GROUPS(SUMMARIES), "summaries"))

/* ---- the catalog: $1 rows, $2 schema, $3 of SECURITY: $3 role that transactions take on (NULL: none) ---- */

/* Tables with users' rows, guarded by policies. */
#define SECURED_TABLES                                                                                       \
  "'conversations', 'messages', 'messages_archive', 'search_postings', 'search_runs', 'search_segments',"    \
  " 'summaries'"
#define OUR_TABLES(schema)                                                                                   \
  "pg_catalog.pg_class AS o WHERE o.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace AS n"          \
  " WHERE n.nspname = CAST(" schema " AS name)) AND o.relkind IN ('r', 'p') AND o.relname IN ('migrations'," \
  " 'settings', " SECURED_TABLES ")"

/* Every index of the migrations that no constraint has made. */
#define CHECK_INDEXES                                                                                        \
  "SELECT 'schema' AS problem, CAST(NULL AS text) AS user_id, CAST(NULL AS uuid) AS id,"                     \
  " format('the index %s is missing', w.name) AS detail FROM unnest(CAST('{conversations_user_id_key_key,"   \
  "conversations_user_id_updated_at_idx,conversations_user_id_created_at_idx,"                               \
  "conversations_user_id_deleted_idx,conversations_deleted_at_idx,conversations_updated_at_idx,"             \
  "conversations_archived_updated_at_idx,"                                                                   \
  "conversations_search_pending_idx,messages_user_id_created_at_idx,messages_pinned_idx,"                    \
  "messages_archive_user_id_created_at_idx,messages_archive_pinned_idx,"                                     \
  "search_segments_conversation_id_idx,search_runs_segment_id_idx}' AS text[])) AS w(name) WHERE NOT EXISTS" \
  " (SELECT FROM ours JOIN pg_catalog.pg_index AS i ON i.indrelid = ours.oid"                                \
  " JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid WHERE x.relname = w.name)"
#define CHECK_INVALID_INDEXES                                                                                \
  "SELECT 'schema', NULL, NULL, format('the index %s is not valid; rebuild it with REINDEX', x.relname)"     \
  " FROM ours JOIN pg_catalog.pg_index AS i ON i.indrelid = ours.oid"                                        \
  " JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid WHERE NOT i.indisvalid"
/* Keys, and how tables hang together. */
#define CHECK_CONSTRAINTS                                                                                    \
  "SELECT 'schema', NULL, NULL, format('the constraint %s is missing', w.name)"                              \
  " FROM unnest(CAST('{migrations_pkey,settings_pkey,conversations_pkey,messages_pkey,messages_id_key,"      \
  "messages_conversation_id_fkey,messages_archive_pkey,messages_archive_id_key,"                             \
  "messages_archive_conversation_id_fkey,summaries_pkey,summaries_conversation_id_fkey,"                     \
  "search_segments_pkey,search_segments_conversation_id_fkey,search_runs_pkey,"                              \
  "search_runs_conversation_id_fkey,search_runs_segment_id_fkey,search_postings_pkey,"                       \
  "search_postings_segment_id_fkey,conversations_user_id_fkey}' AS text[])) AS w(name)"                      \
  " WHERE NOT EXISTS (SELECT FROM ours JOIN pg_catalog.pg_constraint AS k ON k.conrelid = ours.oid"          \
  " WHERE k.conname = w.name) AND (w.name <> 'conversations_user_id_fkey'"                                   \
  " OR EXISTS (SELECT FROM {{schema}}.settings AS s WHERE s.users IS NOT NULL))"
#define CHECK_UNVALIDATED                                                                                    \
  "SELECT 'schema', NULL, NULL, format('the constraint %s is not validated', k.conname) FROM ours"           \
  " JOIN pg_catalog.pg_constraint AS k ON k.conrelid = ours.oid WHERE NOT k.convalidated"
#define CHECK_TRIGGERS                                                                                       \
  "SELECT DISTINCT 'foreign_keys', CAST(NULL AS text), CAST(NULL AS uuid),"                                  \
  " format('the foreign key %s is switched off', k.conname)"                                                 \
  " FROM ours JOIN pg_catalog.pg_constraint AS k ON k.conrelid = ours.oid AND k.contype = 'f'"               \
  " JOIN pg_catalog.pg_trigger AS t ON t.tgconstraint = k.oid WHERE t.tgenabled NOT IN ('O', 'A')"

/* The policy that keeps users apart: for everybody and every command, no more than a comparison of user_id. */
#define EXPRESSION(column) "pg_catalog.pg_get_expr(p." column ", p.polrelid)"
#define IS_COMPARISON(column)                                                                                \
  "starts_with(" EXPRESSION(column) ", '(user_id = ') AND " EXPRESSION(                                      \
      column) " ~ '''(convstore.user_id|request.jwt.claims)'''"
#define HAS_POLICY(suffix)                                                                                   \
  "EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = ours.oid AND p.polcmd = '*'"             \
  " AND p.polpermissive AND p.polname = ours.relname || '_" suffix "'"
#define HAS_USERS_POLICY                                                                                     \
  HAS_POLICY("user")                                                                                         \
  " AND p.polroles = '{0}' AND " IS_COMPARISON("polqual") " AND " IS_COMPARISON("polwithcheck") ")"
#define HAS_OPERATORS_POLICY HAS_POLICY("operator") ")"
#define CHECK_POLICIES                                                                                       \
  "SELECT 'rls_missing' AS problem, CAST(NULL AS text) AS user_id, CAST(NULL AS uuid) AS id, CASE"           \
  " WHEN NOT ours.relrowsecurity THEN format('row-level security is switched off on %s', ours.relname)"      \
  " WHEN NOT ours.relforcerowsecurity"                                                                       \
  " THEN format('row-level security does not bind the owner of %s', ours.relname)"                           \
  " WHEN NOT " HAS_USERS_POLICY " THEN format('the policy %s_user is missing or changed', ours.relname)"     \
  " WHEN CAST($3 AS text) IS NOT NULL AND NOT " HAS_OPERATORS_POLICY                                         \
  " THEN format('the policy %s_operator is missing', ours.relname) END AS detail"                            \
  " FROM ours WHERE ours.relname IN (" SECURED_TABLES ")"
#define CHECK_BYPASS                                                                                         \
  "SELECT 'rls_bypassed', NULL, NULL, format('row-level security does not bind %s, as which normal calls"    \
  " run', r.rolname) FROM pg_catalog.pg_roles AS r"                                                          \
  " WHERE r.rolname = coalesce(CAST($3 AS name), session_user) AND (r.rolsuper OR r.rolbypassrls)"

#define CHECK_OURS                                                                                           \
  "WITH ours AS MATERIALIZED (SELECT o.oid, o.relname, o.relrowsecurity, o.relforcerowsecurity"              \
  " FROM " OUR_TABLES("$2") ")"
#define CHECK_OF_SCHEMA                                                                                      \
  CHECK_OURS FINDINGS(CHECK_INDEXES AND CHECK_INVALID_INDEXES AND CHECK_CONSTRAINTS AND CHECK_UNVALIDATED    \
                          AND CHECK_TRIGGERS)
#define CHECK_OF_SECURITY CHECK_OURS FINDINGS(CHECK_POLICIES AND CHECK_BYPASS)

#endif
