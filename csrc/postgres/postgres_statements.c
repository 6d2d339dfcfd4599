/*
 * Every DML text of the PostgreSQL backend, in one table; the schema itself is in migrations/.
 * Parameters are numbered alike: $1 user_id, $2 conversation id. Each statement on data carries `user_id = $1` beside
 * what row-level security adds, but for what is for operators. One statement is one operation wherever it can be, since
 * each call is one round trip.
 */
#include "postgres_statements.h"

#include "../convstore.h"

#define USER "CAST($1 AS {{user_id_type}})"
#define CONVERSATIONS "{{schema}}.conversations"
#define LIVE "{{schema}}.messages"
#define ARCHIVE "{{schema}}.messages_archive"
#define SUMMARIES "{{schema}}.summaries"

/* The order in which postgres_read_conversation() and convstore__postgres_read_message() take them. */
#define CONVERSATION_COLUMNS                                                                                    \
  "c.id, c.key, c.title, c.status, c.metadata, c.last_seq, c.token_count, c.forked_from_id, c.forked_from_seq," \
  " c.created_at, c.updated_at, c.deleted_at"
#define MESSAGE_COLUMNS(t)                                                                                   \
  t "seq, " t "id, " t "role, " t "content, " t "parts, " t "name, " t "tool_calls, " t "tool_call_id, " t   \
    "attachments, " t "metadata, " t "token_count, " t "created_at, " t "updated_at, " t "redacted_at"
#define T_COLUMNS MESSAGE_COLUMNS("t.")
#define M_COLUMNS MESSAGE_COLUMNS("m.")
#define STORED_COLUMNS MESSAGE_COLUMNS("") ", token_total, user_id, conversation_id"

/* The conversation, if it is not deleted, and with it what a subquery `m` finds among the messages where they lie:
 * up to archived_seq in the archive. Where all lie in one table the other is not looked at. */
#define THIS_CONVERSATION "c.user_id = " USER " AND c.id = CAST($2 AS uuid) AND c.deleted_at IS NULL"
#define WITH_MESSAGES(columns, live, archive)                                                                \
  "SELECT " columns " FROM " CONVERSATIONS " AS c LEFT JOIN LATERAL (" live " UNION ALL " archive            \
  ") AS m ON true"                                                                                           \
  " WHERE " THIS_CONVERSATION
#define LIES_LIVE "c.archived_seq < c.last_seq"
#define LIES_ARCHIVED "c.archived_seq > 0"

#define ONE_MESSAGE(table, where, condition)                                                                 \
  "SELECT " T_COLUMNS " FROM " table " AS t WHERE " where " AND t.user_id = " USER                           \
  " AND t.conversation_id = CAST($2 AS uuid) AND " condition
#define MESSAGE_BY(condition)                                                                                \
  WITH_MESSAGES(M_COLUMNS, ONE_MESSAGE(LIVE, LIES_LIVE, condition),                                          \
                ONE_MESSAGE(ARCHIVE, LIES_ARCHIVED, condition))

/* $3 after, $4 before, $5 limit (NULL: all), $6 roles (NULL: any) */
#define RANGE(columns, table, where, direction)                                                              \
  "(SELECT " columns " FROM " table " AS t WHERE " where " AND t.user_id = " USER                            \
  " AND t.conversation_id = CAST($2 AS uuid) AND t.seq > CAST($3 AS bigint) AND t.seq < CAST($4 AS bigint)"  \
  " AND (CAST($6 AS text[]) IS NULL OR t.role = ANY (CAST($6 AS text[])))"                                   \
  " ORDER BY t.seq " direction " LIMIT CAST($5 AS bigint))"
/* The same from both tables, merged. */
#define RANGES(columns, direction)                                                                           \
  "(SELECT e.* FROM (" RANGE(columns, LIVE, LIES_LIVE, direction) " UNION ALL " RANGE(                       \
      columns, ARCHIVE, LIES_ARCHIVED, direction) ") AS e ORDER BY e.seq " direction                         \
                                                  " LIMIT CAST($5 AS bigint))"
#define WITH_RANGE(columns, range)                                                                           \
  "SELECT " columns " FROM " CONVERSATIONS " AS c LEFT JOIN LATERAL " range                                  \
  " AS m ON true WHERE " THIS_CONVERSATION
#define HISTORY(direction) WITH_RANGE(M_COLUMNS, RANGES(T_COLUMNS, direction))

/* The same, up to the message that brings the texts over $7 bytes: sizes as they lie, so that nothing is decompressed
 * for it. The last column says how many rows there are up to the limit. */
#define PAGE_SIZE                                                                                            \
  "coalesce(octet_length(p.content), 0) + coalesce(pg_column_size(p.parts), 0)"                              \
  " + coalesce(pg_column_size(p.tool_calls), 0) + coalesce(pg_column_size(p.attachments), 0)"                \
  " + coalesce(pg_column_size(p.metadata), 0) + coalesce(octet_length(p.tool_call_id), 0)"
#define PAGE(direction)                                                                                      \
  "(SELECT * FROM (SELECT p.*, count(*) OVER () AS n,"                                                       \
  " coalesce(sum(" PAGE_SIZE ") OVER (ORDER BY p.seq " direction                                             \
  " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before FROM " RANGES(                     \
      T_COLUMNS,                                                                                             \
      direction) " AS p) AS q WHERE q.bytes_before < CAST($7 AS bigint) ORDER BY q.seq " direction ")"
#define HISTORY_PAGE(direction) WITH_RANGE(M_COLUMNS ", m.n", PAGE(direction))
#define BOUNDS(direction) WITH_RANGE("min(m.seq), max(m.seq)", RANGES("t.seq", direction)) " GROUP BY c.id"

#include "postgres_context_sql.h"

/* Changes message $3 where it lies, and the conversation's time to $4 with it. The conversation is locked first, as an
 * append and a move to the archive lock it. No row: no conversation; a row of NULLs: no such message. */
#define CHANGED_MESSAGE(table, where, changes)                                                               \
  "UPDATE " table " AS t SET " changes " FROM c WHERE " where " AND t.user_id = " USER                       \
  " AND t.conversation_id = CAST($2 AS uuid) AND t.seq = CAST($3 AS bigint) RETURNING " T_COLUMNS
#define CHANGE_MESSAGE(changes)                                                                              \
  "WITH c AS (SELECT c.archived_seq, c.last_seq FROM " CONVERSATIONS " AS c WHERE " THIS_CONVERSATION        \
  " FOR NO KEY UPDATE),"                                                                                     \
  " live AS (" CHANGED_MESSAGE(                                                                              \
      LIVE, LIES_LIVE,                                                                                       \
      changes) "),"                                                                                          \
               " archived AS (" CHANGED_MESSAGE(                                                             \
                   ARCHIVE, LIES_ARCHIVED,                                                                   \
                   changes) "),"                                                                             \
                            " changed AS (SELECT * FROM live UNION ALL SELECT * FROM archived),"             \
                            " touched AS (UPDATE " CONVERSATIONS                                             \
                            " SET updated_at = CAST($4 AS timestamptz) WHERE user_id = " USER                \
                            " AND id = CAST($2 AS uuid) AND EXISTS (SELECT FROM changed) RETURNING id)"      \
                            " SELECT " M_COLUMNS " FROM c LEFT JOIN changed AS m ON true"

/* Takes the seqs and counts the tokens; $3 messages of $4 tokens, $5 of them pinned. $6 now, $7 `expect`. */
#define RESERVE_SEQ(where)                                                                                   \
  "UPDATE " CONVERSATIONS " AS c SET last_seq = c.last_seq + CAST($3 AS bigint),"                            \
  " token_count = c.token_count + CAST($4 AS bigint), archived_at = NULL,"                                   \
  " pinned_token_count = c.pinned_token_count + CAST($5 AS bigint), updated_at = CAST($6 AS timestamptz),"   \
  " status = CASE c.status WHEN 'archived' THEN 'active' ELSE c.status END, search_pending = true"           \
  " WHERE " THIS_CONVERSATION where " AND (CAST($7 AS bigint) IS NULL OR c.last_seq = CAST($7 AS bigint))"   \
  " RETURNING c.user_id, c.id, c.last_seq, c.token_count, c.token_count - c.pinned_token_count AS token_total, c.status"
#define INSERT_MESSAGES(where, rows)                                                                         \
  "WITH c AS (" RESERVE_SEQ(                                                                                 \
      where) "), m AS ("                                                                                     \
             "INSERT INTO " LIVE                                                                             \
             " (user_id, conversation_id, seq, id, role, content, parts, name, tool_calls, tool_call_id,"    \
             " attachments, metadata, token_count, created_at, token_total) " rows                           \
             ") SELECT c.last_seq, c.token_count, c.status FROM c"
/* The usual append knows that all of its conversation is in the table whose keys it relies on. */
#define ALL_LIVE " AND c.archived_seq = 0"
/* Behind a statement that has locked the conversation: none of these ids is in the other table. */
#define NOT_IN_ARCHIVE(condition)                                                                            \
  " AND NOT EXISTS (SELECT FROM " ARCHIVE " AS t WHERE t.user_id = " USER                                    \
  " AND t.conversation_id = CAST($2 AS uuid) AND " condition ")"
/* From $8 on: id, role, content, parts, name, tool_calls, tool_call_id, attachments, metadata, token_count, created_at.
 * The running total is the conversation's own. */
#define APPENDED_ONE                                                                                         \
  "SELECT c.user_id, c.id, c.last_seq, CAST($8 AS uuid), CAST($9 AS text), CAST($10 AS text),"               \
  " CAST($11 AS jsonb), CAST($12 AS text), CAST($13 AS jsonb), CAST($14 AS text),"                           \
  " CAST($15 AS jsonb), CAST($16 AS jsonb), CAST($17 AS bigint), CAST($18 AS timestamptz),"                  \
  " c.token_total FROM c"
/* The same as arrays, and as $19 how much each one's running total is below the last one's. */
#define APPENDED_SEVERAL                                                                                     \
  "SELECT c.user_id, c.id, c.last_seq - CAST($3 AS bigint) + i.ord, i.id, i.role, i.content,"                \
  " CAST(i.parts AS jsonb), i.name, CAST(i.tool_calls AS jsonb), i.tool_call_id,"                            \
  " CAST(i.attachments AS jsonb), CAST(i.metadata AS jsonb), i.token_count, i.created_at,"                   \
  " c.token_total - i.below FROM c CROSS JOIN unnest(CAST($8 AS uuid[]), CAST($9 AS text[]),"                \
  " CAST($10 AS text[]), CAST($11 AS text[]), CAST($12 AS text[]), CAST($13 AS text[]),"                     \
  " CAST($14 AS text[]), CAST($15 AS text[]), CAST($16 AS text[]), CAST($17 AS bigint[]),"                   \
  " CAST($18 AS timestamptz[]), CAST($19 AS bigint[])) WITH ORDINALITY AS i(id, role, content,"              \
  " parts, name, tool_calls, tool_call_id, attachments, metadata, token_count, created_at, below, ord)"

/* A page of conversations: $2, $3 the last one's time and id, $4 status (NULL: any), $5 limit. One scan of an index
 * gives it; the last messages are then looked up by key, wherever they lie. */
#define LIST_FROM(table, time, where)                                                                        \
  "(SELECT c.* FROM " table " AS c WHERE c.user_id = " USER where " AND (c." time                            \
  ", c.id) < (CAST($2 AS timestamptz), CAST($3 AS uuid))"                                                    \
  " AND (CAST($4 AS text) IS NULL OR c.status = CAST($4 AS text))"                                           \
  " ORDER BY c." time " DESC, c.id DESC LIMIT CAST($5 AS bigint))"
#define LIST_ROWS(time, where) LIST_FROM(CONVERSATIONS, time, where)
#define LIST_LIVE " AND c.deleted_at IS NULL"
#define LIST_DELETED " AND c.deleted_at IS NOT NULL"
/* There are few deleted ones, and no index has them by created_at: all of them are read and sorted. The order in which
 * they are read is that of the user's index, so that it is not the operators' one over all users. */
#define DELETED_ONES                                                                                         \
  "WITH gone AS MATERIALIZED (SELECT c.* FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER LIST_DELETED   \
  " ORDER BY c.updated_at DESC, c.id DESC) "
/* Indexes have live and deleted ones apart by updated_at, and together by created_at. */
#define LIST_UPDATED_ANY                                                                                     \
  "(SELECT * FROM (" LIST_ROWS("updated_at", LIST_LIVE) " UNION ALL " LIST_ROWS(                             \
      "updated_at", LIST_DELETED) ") AS e ORDER BY e.updated_at DESC, e.id DESC LIMIT CAST($5 AS bigint))"
/* The first characters of the content, or of the texts of its parts; convstore__cut_preview() cuts the bytes. The last
 * message is asked for by its order, which only the primary key's index has, whatever is known of a young table. */
#define PREVIEW                                                                                              \
  "CASE WHEN t.parts IS NULL THEN substr(t.content, 1, 200) ELSE"                                            \
  " (SELECT substr(string_agg(p.part ->> 'text', E'\\n' ORDER BY p.place), 1, 200)"                          \
  " FROM jsonb_array_elements(t.parts) WITH ORDINALITY AS p(part, place)"                                    \
  " WHERE jsonb_typeof(p.part -> 'text') = 'string') END AS preview"
#define LAST_MESSAGE(table, where)                                                                           \
  "(SELECT t.role, " PREVIEW ", t.created_at FROM " table " AS t WHERE " where " AND t.user_id = " USER      \
  " AND t.conversation_id = c.id AND t.seq >= c.last_seq ORDER BY t.seq DESC LIMIT 1)"
#define LIST(time, rows)                                                                                     \
  "SELECT " CONVERSATION_COLUMNS ", m.role, m.preview, m.created_at FROM " rows                              \
  " AS c LEFT JOIN LATERAL (" LAST_MESSAGE(LIVE, LIES_LIVE) " UNION ALL " LAST_MESSAGE(                      \
      ARCHIVE, "c.archived_seq = c.last_seq") ") AS m ON true ORDER BY c." time " DESC, c.id DESC"

/* A page of messages: $2-$4 the last one's time, id and conversation, $5 since, $6 limit, $7 roles (NULL: any). The
 * conversation is looked up row by row: as a join it might be made by reading all of the user's. */
#define PAGE_OF(table)                                                                                       \
  "(SELECT " T_COLUMNS ", t.conversation_id FROM " table " AS t WHERE t.user_id = " USER                     \
  " AND (t.created_at, t.id, t.conversation_id)"                                                             \
  " < (CAST($2 AS timestamptz), CAST($3 AS uuid), CAST($4 AS uuid))"                                         \
  " AND t.created_at >= CAST($5 AS timestamptz)"                                                             \
  " AND (CAST($7 AS text[]) IS NULL OR t.role = ANY (CAST($7 AS text[])))"                                   \
  " AND (SELECT c.deleted_at IS NULL FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER                    \
  " AND c.id = t.conversation_id)" NEWEST_FIRST("t") " LIMIT CAST($6 AS bigint))"
#define NEWEST_FIRST(t) " ORDER BY " t ".created_at DESC, " t ".id DESC, " t ".conversation_id DESC"

/* Groups of messages with $2 <= created_at < $3: first by conversation, so that each is looked up once. The indexes
 * cover it. The groups are made for themselves: joined, a young table's plan made them anew for each conversation. */
#define USAGE_OF(table)                                                                                      \
  "SELECT t.conversation_id, t.role, t.created_at, t.token_count FROM " table                                \
  " AS t WHERE t.user_id = " USER                                                                            \
  " AND t.created_at >= CAST($2 AS timestamptz) AND t.created_at < CAST($3 AS timestamptz)"
#define USAGE_OF_ALL USAGE_OF(LIVE) " UNION ALL " USAGE_OF(ARCHIVE)
#define USAGE(group, order)                                                                                  \
  "WITH p AS MATERIALIZED (SELECT t.conversation_id, " group " AS name, count(*) AS messages,"               \
  " sum(t.token_count) AS tokens FROM (" USAGE_OF_ALL ") AS t GROUP BY 1, 2),"                               \
  " per AS MATERIALIZED (SELECT p.* FROM p WHERE (SELECT c.deleted_at IS NULL"                               \
  " FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER " AND c.id = p.conversation_id))"                   \
  " SELECT name, CAST(sum(messages) AS bigint), CAST(sum(tokens) AS bigint),"                                \
  " (SELECT count(DISTINCT conversation_id) FROM per) FROM per GROUP BY name ORDER BY " order

/* Messages 1 ... at of the conversation, from one table. */
#define FORKED_MESSAGES(table)                                                                               \
  "SELECT " T_COLUMNS ", t.token_total FROM c JOIN " table " AS t ON t.user_id = " USER                      \
  " AND t.conversation_id = CAST($2 AS uuid) AND t.seq <= c.at"
/* The running total at the last of them, and what the pinned ones add, by index. */
#define FORKED_TOTAL(table)                                                                                  \
  "coalesce((SELECT t.token_total FROM " table " AS t WHERE t.user_id = " USER                               \
  " AND t.conversation_id = CAST($2 AS uuid) AND t.seq = c.at), 0)"
#define FORKED_PINNED(table)                                                                                 \
  "coalesce((SELECT sum(t.token_count) FROM " table " AS t WHERE t.user_id = " USER                          \
  " AND t.conversation_id = CAST($2 AS uuid) AND t.seq <= c.at AND t.role IN ('system', 'developer')), 0)"
#define FORKED_SUMS                                                                                          \
  FORKED_TOTAL(LIVE)                                                                                         \
  " + " FORKED_TOTAL(ARCHIVE) " AS total, " FORKED_PINNED(LIVE) " + " FORKED_PINNED(ARCHIVE) " AS pinned"

#define SUMMARY_COLUMNS                                                                                      \
  "user_id, conversation_id, ordinal, through, content, metadata, token_count, created_at"

/* A sum of counters, of which damaged ones may add up to more than there is room for. */
#define BIGINT(sum) "CAST(least(" sum ", 9223372036854775807) AS bigint)"
#define STATS_SUM(column) BIGINT("coalesce(sum(" column "), 0)")
#define STATS_USERS                                                                                          \
  "(SELECT count(*) AS conversations, sum(c.last_seq) AS messages,"                                          \
  " sum(c.archived_seq) AS archived FROM " CONVERSATIONS " AS c GROUP BY c.user_id) AS u"
#define STATS_BYTES(schema)                                                                                  \
  "(SELECT CAST(coalesce(sum(pg_total_relation_size(o.oid)), 0) AS bigint) FROM " OUR_TABLES(schema) ")"
/* The first user, and the one behind another, by index; then what those in `u` have. */
#define FIRST_USER "(SELECT c.user_id FROM " CONVERSATIONS " AS c ORDER BY c.user_id LIMIT 1)"
#define NEXT_USER(user)                                                                                      \
  "(SELECT c.user_id FROM " CONVERSATIONS " AS c WHERE c.user_id > " user " ORDER BY c.user_id LIMIT 1)"
#define ALL_OF_USERS                                                                                         \
  "SELECT CAST(u.user_id AS text), c.conversations, c.messages, c.updated_at FROM u CROSS JOIN LATERAL"      \
  " (SELECT count(*) AS conversations, " BIGINT(                                                             \
      "sum(c.last_seq)") " AS messages,"                                                                     \
                         " max(c.updated_at) AS updated_at FROM " CONVERSATIONS                              \
                         " AS c WHERE c.user_id = u.user_id) AS c"                                           \
                         " WHERE u.user_id IS NOT NULL ORDER BY u.n"

#include "postgres_check_sql.h"
#include "postgres_search_sql.h"

#include "postgres_retention_sql.h"

const struct postgres_stmt_text convstore__postgres_stmt_texts[POSTGRES_STMTS] = {
    /* Around a call of its own. Prepared like the rest: parsing them anew took 5 to 10 % of an append. The isolation is
     * named, so that a default of the database does not change what the statements see. */
    [POSTGRES_STMT_BEGIN] = {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED"},
    [POSTGRES_STMT_BEGIN_READ] = {"begin_read", "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"},
    [POSTGRES_STMT_COMMIT] = {"commit", "COMMIT"},

    /* What a transaction runs under, until its end only: behind a pooler the session is somebody else's next. Each
     * statement has an index to go by, and is planned so even where a table is young and small: a prepared plan may be
     * used long after it has grown. For the same reason nothing is sorted that an index has in order: while there are
     * few users, a list would walk the operators' index over all of them. Compiling plans (jit) takes longer than
     * running them. */
    [POSTGRES_STMT_SETTINGS] =
        {"settings",
         "SELECT set_config('lock_timeout', $2, true), set_config('statement_timeout', $3, true),"
         " set_config('synchronous_commit', $4, true), set_config('enable_seqscan', 'off', true),"
         " set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true),"
         " set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),"
         " set_config('convstore.user_id', $1, true){{claim}}{{role}}"},
    /* Work over all users: no user is set, and the role is another. */
    [POSTGRES_STMT_OPERATOR_SETTINGS] =
        {"operator_settings",
         "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),"
         " set_config('synchronous_commit', $3, true), set_config('jit', 'off', true){{operator_role}}"},
    [POSTGRES_STMT_SCHEMA_SETTINGS] =
        {"schema_settings",
         "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),"
         " set_config('synchronous_commit', $3, true)"},

    /* $3 key, $4 title, $5 status, $6 metadata, $7 created_at, $8 now. No row: the key is taken, or somebody was faster
     * with the id. */
    [POSTGRES_STMT_CREATE_CONVERSATION] =
        {"create_conversation",
         "WITH made AS (INSERT INTO " CONVERSATIONS
         " AS c (user_id, id, key, title, status, metadata, created_at, updated_at)"
         " VALUES (" USER
         ", CAST($2 AS uuid), CAST($3 AS text), CAST($4 AS text), CAST($5 AS text), CAST($6 AS jsonb),"
         " CAST($7 AS timestamptz), CAST($8 AS timestamptz)) ON CONFLICT DO NOTHING RETURNING " CONVERSATION_COLUMNS
         ") SELECT * FROM made UNION ALL SELECT " CONVERSATION_COLUMNS " FROM " CONVERSATIONS
         " AS c WHERE c.user_id = " USER " AND c.id = CAST($2 AS uuid) AND NOT EXISTS (SELECT FROM made)"},
    /* The same parameters. The last column says whether the id is somebody's. No row: it is, or somebody was faster. */
    [POSTGRES_STMT_FIND_OR_CREATE] =
        {"find_or_create",
         "WITH found AS (SELECT " CONVERSATION_COLUMNS " FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER
         " AND c.key = CAST($3 AS text) AND c.deleted_at IS NULL), made AS (INSERT INTO " CONVERSATIONS
         " AS c (user_id, id, key, title, status, metadata, created_at, updated_at)"
         " SELECT " USER
         ", CAST($2 AS uuid), CAST($3 AS text), CAST($4 AS text), CAST($5 AS text), CAST($6 AS jsonb),"
         " CAST($7 AS timestamptz), CAST($8 AS timestamptz) WHERE NOT EXISTS (SELECT FROM found)"
         " ON CONFLICT DO NOTHING RETURNING " CONVERSATION_COLUMNS
         ") SELECT *, EXISTS (SELECT FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER
         " AND c.id = CAST($2 AS uuid))"
         " FROM (SELECT * FROM found UNION ALL SELECT * FROM made) AS one"},
    [POSTGRES_STMT_GET_CONVERSATION] = {"get_conversation",
                                        "SELECT " CONVERSATION_COLUMNS " FROM " CONVERSATIONS
                                        " AS c WHERE c.user_id = " USER " AND c.id = CAST($2 AS uuid)"},
    [POSTGRES_STMT_GET_CONVERSATION_BY_KEY] = {"get_conversation_by_key",
                                               "SELECT " CONVERSATION_COLUMNS
                                               ", EXISTS (SELECT FROM " CONVERSATIONS
                                               " AS o WHERE o.user_id = " USER
                                               " AND o.id = CAST($2 AS uuid)) FROM " CONVERSATIONS
                                               " AS c WHERE c.user_id = " USER
                                               " AND c.key = CAST($3 AS text) AND c.deleted_at IS NULL"},
    /* $3 says by bits what changes: 1 title, 2 status, 4 metadata, 8 key; $8 merges into at most $10 bytes */
    [POSTGRES_STMT_UPDATE_CONVERSATION] =
        {"update_conversation",
         "UPDATE " CONVERSATIONS " AS c SET"
         " title = CASE WHEN CAST($3 AS bigint) & 1 <> 0 THEN CAST($4 AS text) ELSE c.title END,"
         " status = CASE WHEN CAST($3 AS bigint) & 2 <> 0 THEN CAST($5 AS text) ELSE c.status END,"
         " metadata = CASE WHEN CAST($3 AS bigint) & 4 = 0 THEN c.metadata WHEN CAST($8 AS bigint) <> 0 THEN"
         " {{schema}}.json_limited({{schema}}.json_merge_patch(coalesce(c.metadata, '{}'), CAST($6 AS jsonb)),"
         " CAST($10 AS bigint)) ELSE CAST($6 AS jsonb) END,"
         " key = CASE WHEN CAST($3 AS bigint) & 8 <> 0 THEN CAST($7 AS text) ELSE c.key END,"
         " updated_at = CAST($9 AS timestamptz)"
         " WHERE " THIS_CONVERSATION " RETURNING " CONVERSATION_COLUMNS},
    [POSTGRES_STMT_DELETE_CONVERSATION] =
        {"delete_conversation",
         "UPDATE " CONVERSATIONS " AS c SET deleted_at = coalesce(c.deleted_at, CAST($3 AS timestamptz)),"
         " updated_at = CASE WHEN c.deleted_at IS NULL THEN CAST($3 AS timestamptz) ELSE c.updated_at END"
         " WHERE c.user_id = " USER " AND c.id = CAST($2 AS uuid) RETURNING " CONVERSATION_COLUMNS},
    [POSTGRES_STMT_RESTORE_CONVERSATION] =
        {"restore_conversation",
         "UPDATE " CONVERSATIONS " AS c SET deleted_at = NULL,"
         " updated_at = CASE WHEN c.deleted_at IS NULL THEN c.updated_at ELSE CAST($3 AS timestamptz) END"
         " WHERE c.user_id = " USER " AND c.id = CAST($2 AS uuid) RETURNING " CONVERSATION_COLUMNS},
    [POSTGRES_STMT_PURGE_CONVERSATION] = {"purge_conversation",
                                          "DELETE FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER
                                          " AND c.id = CAST($2 AS uuid) RETURNING c.id"},
    [POSTGRES_STMT_LIVE_CONVERSATION] =
        {"live_conversation",
         "SELECT c.last_seq, c.token_count, c.updated_at, c.status, c.archived_at IS NOT NULL,"
         " c.archived_seq FROM " CONVERSATIONS " AS c WHERE " THIS_CONVERSATION},

    [POSTGRES_STMT_APPEND_MESSAGE] = {"append_message", INSERT_MESSAGES(ALL_LIVE, APPENDED_ONE)},
    [POSTGRES_STMT_APPEND_MESSAGE +
        POSTGRES_STMT_PARTED] = {"append_message_parted",
                                 INSERT_MESSAGES(NOT_IN_ARCHIVE("t.id = CAST($8 AS uuid)"), APPENDED_ONE)},
    [POSTGRES_STMT_APPEND_MESSAGES] = {"append_messages", INSERT_MESSAGES(ALL_LIVE, APPENDED_SEVERAL)},
    [POSTGRES_STMT_APPEND_MESSAGES +
        POSTGRES_STMT_PARTED] = {"append_messages_parted",
                                 INSERT_MESSAGES(NOT_IN_ARCHIVE("t.id = ANY (CAST($8 AS uuid[]))"),
                                                 APPENDED_SEVERAL)},
    /* Which of the ids $3 are stored, by their place among them, wherever they lie. */
    [POSTGRES_STMT_STORED_MESSAGES] =
        {"stored_messages",
         "SELECT " M_COLUMNS ", i.ord FROM unnest(CAST($3 AS uuid[])) WITH ORDINALITY AS i(id, ord)"
         " CROSS JOIN LATERAL (SELECT " T_COLUMNS " FROM " LIVE " AS t WHERE t.user_id = " USER
         " AND t.conversation_id = CAST($2 AS uuid) AND t.id = i.id UNION ALL SELECT " T_COLUMNS
         " FROM " ARCHIVE " AS t WHERE t.user_id = " USER
         " AND t.conversation_id = CAST($2 AS uuid) AND t.id = i.id) AS m"
         " ORDER BY i.ord"},
    /* Brings the last $3 messages that are archived back, or what there is. What lies in the archive then. Not by a
     * join with c, which the statistics of 0006_add_statistics.up.sql do not help: it read the whole conversation. */
    [POSTGRES_STMT_UNARCHIVE] = {"unarchive",
                                 "WITH c AS (UPDATE " CONVERSATIONS
                                 " AS c SET archived_seq = greatest(c.archived_seq - CAST($3 AS bigint), 0)"
                                 " WHERE " THIS_CONVERSATION
                                 " AND c.archived_seq > 0 RETURNING c.archived_seq),"
                                 " moved AS (DELETE FROM " ARCHIVE " AS t WHERE t.user_id = " USER
                                 " AND t.conversation_id = CAST($2 AS uuid)"
                                 " AND t.seq > (SELECT c.archived_seq FROM c) RETURNING t.*),"
                                 " stored AS (INSERT INTO " LIVE " (" STORED_COLUMNS
                                 ") SELECT " STORED_COLUMNS " FROM moved) SELECT c.archived_seq FROM c"},

    [POSTGRES_STMT_MESSAGE_BY_SEQ] = {"message_by_seq", MESSAGE_BY("t.seq = CAST($3 AS bigint)")},
    [POSTGRES_STMT_MESSAGE_BY_ID] = {"message_by_id", MESSAGE_BY("t.id = CAST($3 AS uuid)")},
    /* $5 metadata, merged into at most $6 bytes */
    [POSTGRES_STMT_ANNOTATE_MESSAGE] =
        {"annotate_message",
         CHANGE_MESSAGE(
             "metadata = {{schema}}.json_limited({{schema}}.json_merge_patch(coalesce(t.metadata, '{}'),"
             " CAST($5 AS jsonb)), CAST($6 AS bigint)), updated_at = CAST($4 AS timestamptz)")},
    [POSTGRES_STMT_REDACT_MESSAGE] =
        {"redact_message",
         /* Of its calls the ids stay, unseen: so that their results pair with no older call of the same id. */
         CHANGE_MESSAGE("content = NULL, parts = NULL, name = NULL, attachments = NULL, metadata = NULL,"
                        " tool_calls = CASE WHEN t.redacted_at IS NULL THEN (SELECT jsonb_agg(o.call -> 'id')"
                        " FROM jsonb_array_elements(t.tool_calls) AS o(call)) ELSE t.tool_calls END,"
                        " redacted_at = coalesce(t.redacted_at, CAST($4 AS timestamptz))")},

    /* Nobody indexes or changes it until the end of the transaction. */
    [POSTGRES_STMT_LOCK_FOR_PURGE] = {"lock_for_purge",
                                      "SELECT c.id FROM " CONVERSATIONS " AS c WHERE c.user_id = " USER
                                      " AND c.id = CAST($2 AS uuid) FOR UPDATE"},
    /* What shares a segment with messages $3 to $4 has to be indexed anew when that is dropped. Each is a statement of
     * its own behind the one that locks the conversation: it sees what was indexed until then. */
    [POSTGRES_STMT_REOPEN_NEIGHBOURS] =
        {"reopen_neighbours",
         "UPDATE " CONVERSATIONS " AS c SET search_pending = true WHERE c.user_id = " USER
         " AND NOT c.search_pending AND c.id IN (SELECT n.conversation_id FROM " RUNS
         " AS n WHERE n.user_id = " USER " AND n.segment_id IN (" THESE_SEGMENTS "))"},
    [POSTGRES_STMT_DROP_SEGMENTS] = {"drop_segments", "DELETE FROM " SEGMENTS " AS s WHERE s.user_id = " USER
                                                      " AND s.id IN (" THESE_SEGMENTS ")"},
    [POSTGRES_STMT_REOPEN_ALL] = {"reopen_all", "UPDATE " CONVERSATIONS
                                                " AS c SET search_pending = true WHERE c.user_id = " USER
                                                " AND NOT c.search_pending"},
    [POSTGRES_STMT_DROP_ALL_SEGMENTS] = {"drop_all_segments",
                                         "DELETE FROM " SEGMENTS " AS s WHERE s.user_id = " USER},
    [POSTGRES_STMT_SEARCH_READ] = {"search_read", SEARCH_READ},
    /* Those of the messages $3 of conversations $2 that are there, in their order, $4 at most. */
    [POSTGRES_STMT_SEARCH_FOUND] =
        {"search_found",
         "SELECT " M_COLUMNS ", i.ord, c.title FROM unnest(CAST($2 AS uuid[]), CAST($3 AS bigint[]))"
         " WITH ORDINALITY AS i(id, seq, ord) JOIN " CONVERSATIONS " AS c ON c.user_id = " USER
         " AND c.id = i.id AND c.deleted_at IS NULL CROSS JOIN LATERAL (SELECT " T_COLUMNS " FROM " LIVE
         " AS t WHERE " LIES_LIVE " AND t.user_id = " USER
         " AND t.conversation_id = i.id AND t.seq = i.seq UNION ALL SELECT " T_COLUMNS " FROM " ARCHIVE
         " AS t WHERE " LIES_ARCHIVED " AND t.user_id = " USER
         " AND t.conversation_id = i.id AND t.seq = i.seq) AS m WHERE m.redacted_at IS NULL"
         " ORDER BY i.ord LIMIT CAST($4 AS bigint)"},
    /* Not for long: who holds one may have a transaction open, and a search can do without. */
    [POSTGRES_STMT_LOCK_CONVERSATIONS] =
        {"lock_conversations",
         "SELECT c.id FROM " CONVERSATIONS
         " AS c CROSS JOIN set_config('lock_timeout', '50', true) WHERE c.user_id = " USER
         " AND c.id = ANY (CAST($2 AS uuid[])) ORDER BY c.id FOR NO KEY UPDATE OF c"},
    [POSTGRES_STMT_INSERT_SEGMENT] = {"insert_segment", INSERT_SEGMENT},
    /* Conversations without gaps between their runs need no look until the next append. Nobody is waited for: the next
     * search does it. An array, so that what locks is run once, whatever the planner knows of the tables. */
    [POSTGRES_STMT_SEARCH_INDEXED] =
        {"search_indexed",
         "UPDATE " CONVERSATIONS " AS c SET search_pending = false WHERE c.user_id = " USER
         " AND c.id = ANY (ARRAY(SELECT p.id FROM " CONVERSATIONS " AS p WHERE p.user_id = " USER
         " AND p.search_pending AND p.deleted_at IS NULL AND p.last_seq = coalesce("
         "(SELECT sum(r.last_seq - r.first_seq + 1) FROM " RUNS " AS r WHERE r.user_id = " USER
         " AND r.conversation_id = p.id), 0) FOR NO KEY UPDATE OF p SKIP LOCKED))"},

    [POSTGRES_STMT_LIST +
        CONVSTORE_DELETED_NO] = {"list", LIST("updated_at", LIST_ROWS("updated_at", LIST_LIVE))},
    [POSTGRES_STMT_LIST +
        CONVSTORE_DELETED_ONLY] = {"list_deleted", LIST("updated_at", LIST_ROWS("updated_at", LIST_DELETED))},
    [POSTGRES_STMT_LIST + CONVSTORE_DELETED_ANY] = {"list_any", LIST("updated_at", LIST_UPDATED_ANY)},
    [POSTGRES_STMT_LIST + POSTGRES_STMT_BY_CREATED +
        CONVSTORE_DELETED_NO] = {"list_created", LIST("created_at", LIST_ROWS("created_at", LIST_LIVE))},
    [POSTGRES_STMT_LIST + POSTGRES_STMT_BY_CREATED +
        CONVSTORE_DELETED_ONLY] = {"list_created_deleted",
                                   DELETED_ONES LIST("created_at", LIST_FROM("gone", "created_at", ""))},
    [POSTGRES_STMT_LIST + POSTGRES_STMT_BY_CREATED +
        CONVSTORE_DELETED_ANY] = {"list_created_any", LIST("created_at", LIST_ROWS("created_at", ""))},
    [POSTGRES_STMT_MESSAGES] = {"messages",
                                "SELECT " M_COLUMNS
                                ", m.conversation_id FROM (" PAGE_OF(LIVE) " UNION ALL " PAGE_OF(
                                    ARCHIVE) ") AS m" NEWEST_FIRST("m") " LIMIT CAST($6 AS bigint)"},
    [POSTGRES_STMT_USAGE + CONVSTORE_BY_ROLE] = {"usage", USAGE("t.role", "1")},
    [POSTGRES_STMT_USAGE + CONVSTORE_BY_DAY] =
        {"usage_by_day",
         USAGE("CAST(CAST(t.created_at AT TIME ZONE 'UTC' AS date) - DATE '1970-01-01' AS bigint)", "1")},
    [POSTGRES_STMT_USAGE +
        CONVSTORE_BY_CONVERSATION] = {"usage_by_conversation", USAGE("t.conversation_id", "3 DESC, 1")},

    /* $3 the fork's id, $4 key, $5 title, $6 metadata, $7 at (NULL: all), $8 now. One statement sees one moment:
     * nothing that is appended or moved to the archive meanwhile is copied by half. No row: no conversation. The first
     * column is its last_seq, behind it the conversation that has the fork's id; NULL: `at` is beyond the end, the key
     * is taken, or somebody was faster with the id. */
    [POSTGRES_STMT_FORK] =
        {"fork",
         "WITH c AS (SELECT c.last_seq, coalesce(CAST($7 AS bigint), c.last_seq) AS at FROM " CONVERSATIONS
         " AS c WHERE " THIS_CONVERSATION "), sums AS (SELECT c.at, " FORKED_SUMS
         " FROM c WHERE c.at <= c.last_seq),"
         " made AS (INSERT INTO " CONVERSATIONS " AS c (user_id, id, key, title, metadata, last_seq,"
         " token_count, pinned_token_count, forked_from_id, forked_from_seq, created_at, updated_at)"
         " SELECT " USER ", CAST($3 AS uuid), CAST($4 AS text), CAST($5 AS text), CAST($6 AS jsonb), s.at,"
         " s.total + s.pinned, s.pinned, CAST($2 AS uuid), s.at, CAST($8 AS timestamptz),"
         " CAST($8 AS timestamptz) FROM sums AS s ON CONFLICT DO NOTHING RETURNING " CONVERSATION_COLUMNS
         "), messages AS (INSERT INTO " LIVE " (" STORED_COLUMNS ") SELECT " M_COLUMNS
         ", m.token_total, " USER
         ", made.id FROM made CROSS JOIN (" FORKED_MESSAGES(LIVE) " UNION ALL " FORKED_MESSAGES(
             ARCHIVE) ") AS m ORDER BY m.seq), summaries AS (INSERT INTO " SUMMARIES " (" SUMMARY_COLUMNS ")"
                      " SELECT s.user_id, made.id, s.ordinal, s.through, s.content, s.metadata,"
                      " s.token_count, s.created_at"
                      " FROM made CROSS JOIN c JOIN " SUMMARIES " AS s ON s.user_id = " USER
                      " AND s.conversation_id = CAST($2 AS uuid) AND s.through <= c.at),"
                      " fork AS (SELECT * FROM made"
                      " UNION ALL SELECT " CONVERSATION_COLUMNS " FROM " CONVERSATIONS
                      " AS c WHERE c.user_id = " USER " AND c.id = CAST($3 AS uuid))"
                      " SELECT c.last_seq, fork.* FROM c LEFT JOIN fork ON true"},
    [POSTGRES_STMT_LOCK_CONVERSATION] = {"lock_conversation",
                                         "SELECT c.last_seq FROM " CONVERSATIONS
                                         " AS c WHERE " THIS_CONVERSATION " FOR NO KEY UPDATE"},
    /* Behind the lock, so that it sees the latest summary. $3 through (NULL: all), $4 content, $5 metadata,
     * $6 token_count, $7 now. One of this time and text is this very call: an earlier try has stored it, or one that
     * was given up is still on its way and comes second. No row: `through` is out of range. */
    [POSTGRES_STMT_SUMMARIZE] =
        {"summarize",
         "WITH c AS (UPDATE " CONVERSATIONS " AS c SET updated_at = CAST($7 AS timestamptz)"
         " WHERE " THIS_CONVERSATION " AND coalesce(CAST($3 AS bigint), c.last_seq) BETWEEN 1 AND c.last_seq"
         " RETURNING coalesce(CAST($3 AS bigint), c.last_seq) AS through),"
         " stored AS (SELECT s.through FROM c JOIN " SUMMARIES " AS s ON s.user_id = " USER
         " AND s.conversation_id = CAST($2 AS uuid) AND s.created_at = CAST($7 AS timestamptz)"
         " AND s.content = CAST($4 AS text) AND s.through = coalesce(CAST($3 AS bigint), s.through)"
         " AND s.token_count = CAST($6 AS bigint) AND s.metadata IS NOT DISTINCT FROM CAST($5 AS jsonb) LIMIT 1),"
         " made AS (INSERT INTO " SUMMARIES " (" SUMMARY_COLUMNS ") SELECT " USER ", CAST($2 AS uuid),"
         " coalesce((SELECT max(s.ordinal) FROM " SUMMARIES " AS s WHERE s.user_id = " USER
         " AND s.conversation_id = CAST($2 AS uuid)), 0) + 1, c.through, CAST($4 AS text), CAST($5 AS jsonb),"
         " CAST($6 AS bigint), CAST($7 AS timestamptz) FROM c WHERE NOT EXISTS (SELECT FROM stored)"
         " RETURNING through) SELECT through FROM stored UNION ALL SELECT through FROM made"},
    [POSTGRES_STMT_CONTEXT] = {"context", CONTEXT},

    /* Beside the other settings: a part finds its rows one by one, however young a table was when that was planned. */
    [POSTGRES_STMT_PLAN_BY_INDEX] =
        {"plan_by_index",
         "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true),"
         " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"},
    [POSTGRES_STMT_PICK_OLD] = {"pick_old", PICK(LOCKED_OLD(" SKIP LOCKED"), SHRUNK)},
    [POSTGRES_STMT_PICK_OLD + POSTGRES_STMT_WAITING] = {"pick_old_waiting", PICK(LOCKED_OLD(""), SHRUNK)},
    [POSTGRES_STMT_PICK_IDLE] = {"pick_idle", PICK(LOCKED_IDLE(" SKIP LOCKED"), MOVED)},
    [POSTGRES_STMT_PICK_IDLE + POSTGRES_STMT_WAITING] = {"pick_idle_waiting", PICK(LOCKED_IDLE(""), MOVED)},
    [POSTGRES_STMT_PICK_USERS] = {"pick_users", PICK(LOCKED_USERS(" SKIP LOCKED"), SHRUNK)},
    [POSTGRES_STMT_PICK_USERS +
        POSTGRES_STMT_WAITING] = {"pick_users_waiting", PICK(LOCKED_USERS(""), SHRUNK)},
    /* As reopen_neighbours and drop_segments, for the messages that go. */
    [POSTGRES_STMT_REOPEN_PART_NEIGHBOURS] =
        {"reopen_part_neighbours",
         "UPDATE " CONVERSATIONS " AS c SET search_pending = true FROM (SELECT DISTINCT n.user_id,"
         " n.conversation_id FROM (" PART_SEGMENTS ") AS s JOIN " RUNS
         " AS n ON n.user_id = s.user_id AND n.segment_id = s.segment_id) AS n WHERE c.user_id = n.user_id"
         " AND c.id = n.conversation_id AND NOT c.search_pending"
         " AND NOT EXISTS (SELECT FROM " PART " WHERE p.user_id = c.user_id AND p.id = c.id)"},
    [POSTGRES_STMT_DROP_PART_SEGMENTS] = {"drop_part_segments",
                                          "DELETE FROM " SEGMENTS " AS s USING (" PART_SEGMENTS
                                          ") AS g WHERE s.user_id = g.user_id AND s.id = g.segment_id"},
    /* Deletes the end of the one that is too long. Its times stay: a later purge finds it again. $1 now */
    [POSTGRES_STMT_SHRINK_PART] =
        {"shrink_part",
         "WITH p AS (SELECT p.* FROM " PART
         " WHERE p.kept > 0), live AS (" SHRUNK_MESSAGES(LIVE) "), archived AS (" SHRUNK_MESSAGES(
             ARCHIVE) "),"
                      " sums AS (SELECT coalesce(sum(m.token_count), 0) AS tokens, coalesce(sum(m.token_count)"
                      " FILTER (WHERE m.role IN ('system', 'developer')), 0) AS pinned"
                      " FROM (SELECT * FROM live UNION ALL SELECT * FROM archived) AS m),"
                      " summaries AS (DELETE FROM " SUMMARIES " AS s USING p WHERE s.user_id = p.user_id"
                      " AND s.conversation_id = p.id AND s.through > p.kept)"
                      " UPDATE " CONVERSATIONS
                      " AS c SET last_seq = p.kept, archived_seq = least(c.archived_seq, p.kept),"
                      " token_count = c.token_count - sums.tokens,"
                      " pinned_token_count = c.pinned_token_count - sums.pinned,"
                      " deleted_at = coalesce(c.deleted_at, CAST($1 AS timestamptz)), search_pending = true"
                      " FROM p CROSS JOIN sums WHERE c.user_id = p.user_id AND c.id = p.id"},
    [POSTGRES_STMT_DELETE_PART] = {"delete_part",
                                   "DELETE FROM " CONVERSATIONS " AS c USING " PART
                                   " WHERE p.kept = 0 AND c.user_id = p.user_id AND c.id = p.id"},
    [POSTGRES_STMT_ARCHIVE_PART] = {"archive_part",
                                    "WITH moved AS (DELETE FROM " LIVE " AS t USING " PART
                                    " WHERE t.user_id = p.user_id AND t.conversation_id = p.id"
                                    " AND t.seq <= p.kept RETURNING t.*)"
                                    " INSERT INTO " ARCHIVE " (" STORED_COLUMNS ") SELECT " STORED_COLUMNS
                                    " FROM moved"},
    [POSTGRES_STMT_MARK_PART_ARCHIVED] =
        {"mark_part_archived",
         "UPDATE " CONVERSATIONS " AS c SET archived_seq = p.kept,"
         " archived_at = CASE WHEN p.kept = p.last_seq THEN CAST($1 AS timestamptz) END,"
         " status = CASE WHEN p.kept = p.last_seq AND c.status = 'active' THEN 'archived' ELSE c.status END"
         " FROM " PART " WHERE c.user_id = p.user_id AND c.id = p.id"},
    [POSTGRES_STMT_OLD_LEFT] = {"old_left",
                                DONE(LEFT(OLD_DELETED) " OR " LEFT(OLD_LIVE) " OR " LEFT(OLD_ARCHIVED))},
    [POSTGRES_STMT_IDLE_LEFT] = {"idle_left", MOVE_DONE(LEFT(IDLE))},
    [POSTGRES_STMT_USERS_LEFT] = {"users_left", DONE(LEFT(USERS_OWN))},
    /* Whether the transaction sees all users' rows, where no role was taken on for it: $1 schema. */
    [POSTGRES_STMT_SEES_ALL] = {"sees_all",
                                "SELECT NOT row_security_active(c.oid) FROM pg_catalog.pg_class AS c"
                                " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                                " WHERE n.nspname = CAST($1 AS name) AND c.relname = 'conversations'"},
    /* Before a page of users, which goes by index, however young the table is. */
    [POSTGRES_STMT_BY_INDEX] =
        {"by_index",
         "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"},
    /* A page of users: $1 the last one (NULL: from the first), $2 limit. From user to user by index, whatever the
     * number of conversations between; then the conversations of these alone. */
    [POSTGRES_STMT_USERS] =
        {"users",
         "WITH RECURSIVE u (user_id, n) AS (SELECT CASE WHEN CAST($1 AS text) IS NULL THEN " FIRST_USER
         " ELSE " NEXT_USER(
             USER) " END, CAST(1 AS bigint) UNION ALL"
                   " SELECT " NEXT_USER(
                       "u.user_id") ", u.n + 1 FROM u"
                                    " WHERE u.user_id IS NOT NULL AND u.n < CAST($2 AS bigint)) " ALL_OF_USERS},
    /* $1 schema */
    [POSTGRES_STMT_STATS] =
        {"stats", "SELECT split_part(current_setting('server_version'), ' ', 1), count(*),"
                  " CAST(coalesce(sum(u.conversations), 0) AS bigint), " STATS_SUM(
                      "u.messages") ", " STATS_SUM("u.archived") ", " STATS_BYTES("$1") " FROM " STATS_USERS},
    /* Around a check, which reads everything: groups without statistics are never gone through one by one. */
    [POSTGRES_STMT_BEGIN_CHECK] =
        {"begin_check",
         "SELECT set_config('enable_nestloop', 'off', true), set_config('enable_seqscan', 'on', true),"
         " set_config('enable_sort', 'on', true), set_config('enable_incremental_sort', 'on', true)"},
    [POSTGRES_STMT_END_CHECK] = {"end_check", "SELECT set_config('enable_nestloop', 'on', true)"},
    [POSTGRES_STMT_CHECK_MESSAGES] = {"check_messages", CHECK_OF_MESSAGES},
    [POSTGRES_STMT_CHECK_SEARCH] = {"check_search", CHECK_OF_SEARCH},
    [POSTGRES_STMT_CHECK_SUMMARIES] = {"check_summaries", CHECK_OF_SUMMARIES},
    [POSTGRES_STMT_CHECK_SCHEMA] = {"check_schema", CHECK_OF_SCHEMA},
    [POSTGRES_STMT_CHECK_SECURITY] = {"check_security", CHECK_OF_SECURITY},

    [POSTGRES_STMT_HISTORY + 0] = {"history", HISTORY("ASC")},
    [POSTGRES_STMT_HISTORY + 1] = {"history_desc", HISTORY("DESC")},
    [POSTGRES_STMT_HISTORY_PAGE + 0] = {"history_page", HISTORY_PAGE("ASC")},
    [POSTGRES_STMT_HISTORY_PAGE + 1] = {"history_page_desc", HISTORY_PAGE("DESC")},
    [POSTGRES_STMT_BOUNDS + 0] = {"bounds", BOUNDS("ASC")},
    [POSTGRES_STMT_BOUNDS + 1] = {"bounds_desc", BOUNDS("DESC")},
};
