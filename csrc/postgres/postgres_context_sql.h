/*
 * What the statement of a context is made of: a part of postgres_statements.c, which alone includes it, behind the
 * names of the tables.
 */
#ifndef CONVSTORE_POSTGRES_CONTEXT_SQL_H
#define CONVSTORE_POSTGRES_CONTEXT_SQL_H

/*
 * What a context needs: a head (kind 0: last_seq as seq, what the summary stands for as total, how many system messages
 * are behind it as n, the summary's content and tokens), what is pinned (1), and the newest messages backwards (2),
 * with their running totals of tokens.
 * $3 before which seq (NULL: the first round), $4 the running total there (NULL: the conversation's), $5 tokens and
 * $6 messages that are wanted at most (NULL: no limit), $7 not 0: with system messages, $8 the seq after which
 * messages count (NULL: the latest summary's), $9 rows to look at at least.
 * As many rows are looked at as those tokens should take by the conversation's average; of these, those are not sent
 * behind which more tokens stand already. What is looked at first is sent in any case: so each round gets further.
 * The conversation is materialized: row-level security keeps a comparison with coalesce(...) from the index.
 */
#define CONTEXT_ROWS_WANTED                                                                                  \
  "CAST(least(2000, greatest(CAST($9 AS bigint),"                                                            \
  " least(2000, 32 + 1.5 * w.wanted * c.last_seq / greatest(c.token_count, 1),"                              \
  " 16 + 1.5 * CAST($6 AS double precision)))) AS bigint)"
#define CONTEXT_CONVERSATION                                                                                 \
  "SELECT c.*, coalesce(CAST($8 AS bigint), s.through, 0) AS through,"                                       \
  " coalesce(CAST($3 AS bigint), c.last_seq + 1) AS before,"                                                 \
  " coalesce(CAST($4 AS bigint), c.token_count - c.pinned_token_count) AS total, s.content,"                 \
  " coalesce(s.token_count, 0) AS tokens, w.wanted, " CONTEXT_ROWS_WANTED " AS n_rows"                       \
  " FROM (SELECT c.id, c.last_seq, c.token_count, c.pinned_token_count, c.archived_seq, c.created_at,"       \
  " CAST($7 AS bigint) <> 0 AS pinned FROM " CONVERSATIONS " AS c WHERE " THIS_CONVERSATION ") AS c"         \
  " LEFT JOIN LATERAL (SELECT s.through, s.content, s.token_count FROM {{schema}}.summaries AS s"            \
  " WHERE s.user_id = " USER " AND s.conversation_id = CAST($2 AS uuid)"                                     \
  " ORDER BY s.ordinal DESC LIMIT 1) AS s ON true"                                                           \
  " CROSS JOIN LATERAL (SELECT CAST($5 AS double precision)"                                                 \
  " - CASE WHEN c.pinned AND CAST($3 AS bigint) IS NULL"                                                     \
  " THEN c.pinned_token_count + coalesce(s.token_count, 0) ELSE 0 END AS wanted) AS w"
#define CONTEXT_ROWS(kind, table, where)                                                                     \
  "SELECT t.seq, t.id, t.role, t.content, t.parts, t.name, t.tool_calls, t.tool_call_id, t.token_count,"     \
  " t.created_at, t.updated_at, t.redacted_at, " kind " AS kind, t.token_total AS total,"                    \
  " CAST(NULL AS bigint) AS n FROM " IN_THIS(table, where)
#define IN_THIS(table, where)                                                                                \
  table " AS t WHERE t.user_id = " USER " AND t.conversation_id = CAST($2 AS uuid) AND " where
#define PINNED "t.role IN ('system', 'developer')"
#define CONTEXT_PINNED(table, where)                                                                         \
  "(" CONTEXT_ROWS("1", table, where) " AND " PINNED                                                         \
                                      " AND c.pinned AND CAST($3 AS bigint) IS NULL ORDER BY t.seq)"
#define CONTEXT_HEAD                                                                                         \
  "SELECT c.last_seq, c.id, 'system', CASE WHEN c.pinned THEN c.content END, NULL, NULL, NULL, NULL,"        \
  " c.tokens, c.created_at, NULL, NULL, 0, c.through, CASE WHEN c.pinned THEN 0 ELSE " COUNT_PINNED(         \
      LIVE) " + " COUNT_PINNED(ARCHIVE) " END"
#define COUNT_PINNED(table) "(SELECT count(*) FROM " IN_THIS(table, PINNED) " AND t.seq > c.through)"
/* From both tables, merged: limits and the order are theirs together. */
#define CONTEXT_NEWEST(table, where)                                                                         \
  "(" CONTEXT_ROWS("2", table, where) " AND t.seq > c.through AND t.seq < c.before"                          \
                                      " ORDER BY t.seq DESC LIMIT c.n_rows)"
#define EITHER(rows) rows(LIVE, LIES_LIVE) " UNION ALL " rows(ARCHIVE, LIES_ARCHIVED)
#define CONTEXT_ALL_PINNED "(SELECT * FROM (" EITHER(CONTEXT_PINNED) ") AS e ORDER BY e.seq)"
#define CONTEXT_WINDOW                                                                                       \
  "(SELECT * FROM (SELECT * FROM (" EITHER(                                                                  \
      CONTEXT_NEWEST) ") AS e ORDER BY e.seq DESC LIMIT c.n_rows) AS w"                                      \
                      " WHERE c.wanted IS NULL OR c.total - w.total <= c.wanted OR w.seq = c.before - 1)"
#define CONTEXT                                                                                              \
  "WITH c AS MATERIALIZED (" CONTEXT_CONVERSATION ") SELECT m.seq, m.id, m.role, m.content, m.parts,"        \
  " m.name, m.tool_calls, m.tool_call_id, CAST(NULL AS jsonb) AS attachments,"                               \
  " CAST(NULL AS jsonb) AS metadata, m.token_count, m.created_at, m.updated_at, m.redacted_at, m.kind,"      \
  " m.total, m.n FROM c CROSS JOIN LATERAL (" CONTEXT_ALL_PINNED " UNION ALL " CONTEXT_HEAD                  \
  " UNION ALL " CONTEXT_WINDOW ") AS m"

#endif
