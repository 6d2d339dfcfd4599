/*
 * Every DML text of the SQLite backend, in one table; the schema itself is in migrations/.
 * Parameters are numbered alike: ?1 user_id, ?2 conversation id. Each statement on data carries `user_id = ?1`: nothing
 * is reachable without it, but by what is for operators. The benchmark's C twin runs these very texts.
 */
#include "sqlite_statements.h"

#include "../convstore.h"

/* The order in which read_conversation() and convstore__sqlite_read_message() take them. */
#define CONVERSATION_COLUMNS                                                                                 \
  "id, key, title, status, metadata, last_seq, token_count, forked_from_id, forked_from_seq, created_at, "   \
  "updated_at, deleted_at"
#define MESSAGE_COLUMNS                                                                                      \
  "seq, id, role, content, parts, name, tool_calls, tool_call_id, attachments, metadata, token_count, "      \
  "created_at, updated_at, redacted_at"
#define STORED_COLUMNS MESSAGE_COLUMNS ", token_total, user_id, conversation_id"

#define LIVE "convstore_messages"
#define ARCHIVE "convstore_messages_archive"
/* What is read of a conversation that lies in both: SQLite looks into each by its own index, and merges them. */
#define BOTH "(SELECT " STORED_COLUMNS " FROM " LIVE " UNION ALL SELECT " STORED_COLUMNS " FROM " ARCHIVE ")"

#define MESSAGE_BY_SEQ(table)                                                                                \
  "SELECT " MESSAGE_COLUMNS " FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3"
#define MESSAGE_BY_ID(table)                                                                                 \
  "SELECT " MESSAGE_COLUMNS " FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND id = ?3"
#define ANNOTATE_MESSAGE(table)                                                                              \
  "UPDATE " table " SET metadata = json_patch(coalesce(metadata, '{}'), ?4), updated_at = ?5"                \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3 RETURNING " MESSAGE_COLUMNS
/* Of its calls the ids stay, unseen: so that their results pair with no older call of the same id. */
#define REDACT_MESSAGE(table)                                                                                \
  "UPDATE " table " SET content = NULL, parts = NULL, name = NULL, attachments = NULL, metadata = NULL,"     \
  " tool_calls = iif(redacted_at IS NULL, (SELECT nullif(json_group_array(json_extract(value, '$.id')),"     \
  " '[]') FROM json_each(tool_calls)), tool_calls), redacted_at = coalesce(redacted_at, ?4)"                 \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3 RETURNING " MESSAGE_COLUMNS

/* What the search index takes of messages ?3 to ?4. */
#define SEARCH_TEXTS(table)                                                                                  \
  "SELECT seq, role, created_at, content, parts FROM " table                                                 \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq"

/* The segments that hold any of messages ?3 to ?4. */
#define THESE_SEGMENTS                                                                                       \
  "SELECT segment_id FROM convstore_search_runs"                                                             \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND first_seq <= ?4 AND last_seq >= ?3"
/* What a context reads of a message, in the places of MESSAGE_COLUMNS: not what an API does not take. */
#define CONTEXT_COLUMNS                                                                                      \
  "seq, id, role, content, parts, name, tool_calls, tool_call_id, NULL, NULL, token_count, created_at, "     \
  "updated_at, redacted_at"
#define IS_PINNED "role IN ('system', 'developer')"
#define PINNED(columns, table)                                                                               \
  "SELECT " columns " FROM " table " WHERE user_id = ?1"                                                     \
  " AND conversation_id = ?2 AND " IS_PINNED
/* ?3 the last message that a summary stands for. What is pinned need not come again. */
#define WINDOW(table)                                                                                        \
  "SELECT " CONTEXT_COLUMNS " FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND seq > ?3"       \
  " AND NOT (" IS_PINNED ") ORDER BY seq DESC"

/* ?3 after, ?4 before, ?5 limit (-1: all), ?6-?10 roles (NULL where fewer are asked for) */
#define RANGE(columns, table, roles, direction)                                                              \
  "SELECT " columns " FROM " table                                                                           \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq > ?3 AND seq < ?4" roles " ORDER BY seq " direction  \
  " LIMIT ?5"
#define SOME_ROLES " AND role IN (?6, ?7, ?8, ?9, ?10)"
#define BOUNDS(table, roles, direction)                                                                      \
  "SELECT min(seq), max(seq) FROM (" RANGE("seq", table, roles, direction) ")"

/* A page of conversations: ?2, ?3 the last one's time and id, ?4 status (NULL: any), ?5 limit. One scan of an index
 * gives it; the last messages are then looked up by key, wherever they lie. */
#define LIST_ROWS(time, where)                                                                               \
  "SELECT * FROM convstore_conversations " where " AND (" time ", id) < (?2, ?3)"                            \
  " AND (?4 IS NULL OR status = ?4) ORDER BY " time " DESC, id DESC LIMIT ?5"
#define LIST_LIVE "WHERE user_id = ?1 AND deleted_at IS NULL"
#define LIST_DELETED "WHERE user_id = ?1 AND deleted_at IS NOT NULL"
/* There are few deleted ones, and no index has them by created_at: all of them are read and sorted. */
#define LIST_DELETED_ALL "INDEXED BY convstore_conversations_user_id_deleted_idx " LIST_DELETED
/* Indexes have live and deleted ones apart by updated_at, and together by created_at. */
#define LIST_UPDATED_ANY                                                                                     \
  "SELECT * FROM (" LIST_ROWS("updated_at", LIST_LIVE) ") UNION ALL SELECT * FROM (" LIST_ROWS(              \
      "updated_at", LIST_DELETED) ") ORDER BY updated_at DESC, id DESC LIMIT ?5"
#define LISTED_COLUMNS                                                                                       \
  "c.id, c.key, c.title, c.status, c.metadata, c.last_seq, c.token_count, c.forked_from_id,"                 \
  " c.forked_from_seq, c.created_at, c.updated_at, c.deleted_at"
/* The first characters of the content, or of the texts of its parts; convstore__cut_preview() cuts the bytes. */
#define PREVIEW(m)                                                                                           \
  "CASE WHEN " m ".parts IS NULL THEN substr(" m ".content, 1, 200) ELSE"                                    \
  " (SELECT substr(group_concat(text, char(10)), 1, 200)"                                                    \
  " FROM (SELECT json_extract(value, '$.text') AS text FROM json_each(" m ".parts)"                          \
  " WHERE json_type(value, '$.text') = 'text' ORDER BY key)) END"
#define LAST_MESSAGE(table, m, where)                                                                        \
  " LEFT JOIN " table " AS " m " ON " m ".user_id = ?1 AND " m ".conversation_id = c.id AND " m              \
  ".seq = c.last_seq AND " where
#define LISTED_FROM(conversations)                                                                           \
  "SELECT " LISTED_COLUMNS ", coalesce(m.role, a.role), coalesce(" PREVIEW("m") ", " PREVIEW(                \
      "a") "), coalesce(m.created_at, a.created_at) FROM " conversations                                     \
           " AS c" LAST_MESSAGE(LIVE, "m", "c.archived_seq < c.last_seq")                                    \
               LAST_MESSAGE(ARCHIVE, "a", "c.archived_seq = c.last_seq")
#define LIST(time, rows) LISTED_FROM("(" rows ")") " ORDER BY c." time " DESC, c.id DESC"
/* The usual list: rows come in the order of their index. Copied first and sorted after, they took a third more
 * instructions (callgrind). */
#define LIST_IN_ORDER(time)                                                                                  \
  LISTED_FROM("convstore_conversations")                                                                     \
  " WHERE c.user_id = ?1 AND c.deleted_at IS NULL AND (c." time                                              \
  ", c.id) < (?2, ?3) AND (?4 IS NULL OR c.status = ?4) ORDER BY c." time " DESC, c.id DESC LIMIT ?5"

/* A page of messages: ?2-?4 the last one's time, id and conversation, ?5 since, ?6 limit, ?7-?11 roles (?12: any). Both
 * tables are read in the order of their indexes, which SQLite merges, so no more rows are touched than are given. */
#define PAGE_OF(table)                                                                                       \
  "SELECT " MESSAGE_COLUMNS ", conversation_id FROM " table " AS t WHERE user_id = ?1"                       \
  " AND (created_at, id, conversation_id) < (?2, ?3, ?4) AND created_at >= ?5"                               \
  " AND (?12 OR role IN (?7, ?8, ?9, ?10, ?11)) AND EXISTS (SELECT 1 FROM convstore_conversations AS c"      \
  " WHERE c.user_id = ?1 AND c.id = t.conversation_id AND c.deleted_at IS NULL)"

/* Groups of messages with ?2 <= created_at < ?3: first by conversation, so that each is looked up once. The indexes
 * cover it. */
#define USAGE_OF(table)                                                                                      \
  "SELECT conversation_id, role, created_at, token_count FROM " table                                        \
  " WHERE user_id = ?1 AND created_at >= ?2 AND created_at < ?3"
#define USAGE_OF_ALL USAGE_OF(LIVE) " UNION ALL " USAGE_OF(ARCHIVE)
#define USAGE(group, order)                                                                                  \
  "WITH per AS MATERIALIZED (SELECT * FROM (SELECT conversation_id, " group " AS name,"                      \
  " count(*) AS messages, sum(token_count) AS tokens FROM (" USAGE_OF_ALL ") GROUP BY 1, 2) AS p"            \
  " WHERE EXISTS (SELECT 1 FROM convstore_conversations AS c WHERE c.user_id = ?1"                           \
  " AND c.id = p.conversation_id AND c.deleted_at IS NULL))"                                                 \
  " SELECT name, sum(messages), sum(tokens), (SELECT count(DISTINCT conversation_id) FROM per) FROM per"     \
  " GROUP BY name ORDER BY " order

/* ?3 the fork, ?4 at */
#define FORK_MESSAGES(table)                                                                                 \
  "INSERT INTO " LIVE " (" STORED_COLUMNS ") SELECT " MESSAGE_COLUMNS                                        \
  ", token_total, user_id, ?3 FROM " table                                                                   \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq <= ?4 ORDER BY seq"
/* The running total at the last message, and what the pinned ones add, by index. */
#define FORK_TOTAL(table)                                                                                    \
  "coalesce((SELECT token_total FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?4), 0)"
#define FORK_PINNED(table)                                                                                   \
  "coalesce((SELECT sum(token_count) FROM " table " WHERE user_id = ?1 AND conversation_id = ?2"             \
  " AND seq <= ?4 AND role IN ('system', 'developer')), 0)"
#define FORK_SUMS                                                                                            \
  FORK_TOTAL(LIVE)                                                                                           \
  " + " FORK_TOTAL(ARCHIVE) " AS total, " FORK_PINNED(LIVE) " + " FORK_PINNED(ARCHIVE) " AS pinned"

#define SUMMARY_COLUMNS                                                                                      \
  "user_id, conversation_id, ordinal, through, content, metadata, token_count, created_at"

/* Conversations of all users, the longest idle first: each arm reads the beginning of one index. */
#define OLD_COLUMNS "user_id, id, last_seq, archived_seq"
#define OLDEST(where, time)                                                                                  \
  "SELECT * FROM (SELECT " OLD_COLUMNS " FROM convstore_conversations WHERE " where " ORDER BY " time        \
  " LIMIT ?3)"
/* The seq of the ?3-th message from the end. */
#define LAST_MESSAGES(table)                                                                                 \
  "SELECT seq FROM " table                                                                                   \
  " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3 - 1"
#define SHRINK_MESSAGES(table)                                                                               \
  "DELETE FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND seq > ?4"
/* Messages ?3 + 1 to ?4 go from one table to the other. */
#define MOVED " WHERE user_id = ?1 AND conversation_id = ?2 AND seq > ?3 AND seq <= ?4"
#define MOVE_COPY(from, to)                                                                                  \
  "INSERT INTO " to " (" STORED_COLUMNS ") SELECT " STORED_COLUMNS " FROM " from MOVED " ORDER BY seq"
#define MOVE_DELETE(from) "DELETE FROM " from MOVED
#include "sqlite_check_sql.h"

const struct sqlite_stmt_text convstore__sqlite_stmt_texts[SQLITE_STMTS] = {
    [SQLITE_STMT_BEGIN] = {"begin", "BEGIN IMMEDIATE"},
    [SQLITE_STMT_BEGIN_READ] = {"begin_read", "BEGIN"},
    [SQLITE_STMT_COMMIT] = {"commit", "COMMIT"},
    [SQLITE_STMT_ROLLBACK] = {"rollback", "ROLLBACK"},
    [SQLITE_STMT_SAVEPOINT] = {"savepoint", "SAVEPOINT convstore"},
    [SQLITE_STMT_RELEASE] = {"release", "RELEASE convstore"},
    [SQLITE_STMT_ROLLBACK_TO] = {"rollback_to", "ROLLBACK TO convstore"},

    [SQLITE_STMT_SCHEMA_COOKIE] = {"schema_cookie", "PRAGMA schema_version"},

    [SQLITE_STMT_CREATE_CONVERSATION] =
        {"create_conversation",
         "INSERT INTO convstore_conversations (user_id, id, key, title, status, metadata, created_at, updated_at)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
    [SQLITE_STMT_GET_CONVERSATION] = {"get_conversation",
                                      "SELECT " CONVERSATION_COLUMNS
                                      " FROM convstore_conversations WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_GET_CONVERSATION_BY_KEY] = {"get_conversation_by_key",
                                             "SELECT " CONVERSATION_COLUMNS " FROM convstore_conversations"
                                             " WHERE user_id = ?1 AND key = ?2 AND deleted_at IS NULL"},
    /* ?3 says by bits what changes: 1 title, 2 status, 4 metadata, 8 key; ?8 merges */
    [SQLITE_STMT_UPDATE_CONVERSATION] =
        {"update_conversation",
         "UPDATE convstore_conversations SET"
         " title = iif(?3 & 1, ?4, title), status = iif(?3 & 2, ?5, status),"
         " metadata = iif(?3 & 4, iif(?8, json_patch(coalesce(metadata, '{}'), ?6), ?6), metadata),"
         " key = iif(?3 & 8, ?7, key), updated_at = ?9"
         " WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL RETURNING " CONVERSATION_COLUMNS},
    [SQLITE_STMT_DELETE_CONVERSATION] =
        {"delete_conversation",
         "UPDATE convstore_conversations SET updated_at = iif(deleted_at IS NULL, ?3, updated_at),"
         " deleted_at = coalesce(deleted_at, ?3) WHERE user_id = ?1 AND id = ?2 RETURNING " CONVERSATION_COLUMNS},
    [SQLITE_STMT_RESTORE_CONVERSATION] =
        {"restore_conversation",
         "UPDATE convstore_conversations SET updated_at = iif(deleted_at IS NULL, updated_at, ?3), deleted_at = NULL"
         " WHERE user_id = ?1 AND id = ?2 RETURNING " CONVERSATION_COLUMNS},
    [SQLITE_STMT_PURGE_CONVERSATION] = {"purge_conversation",
                                        "DELETE FROM convstore_conversations WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_LIVE_CONVERSATION] =
        {"live_conversation",
         "SELECT last_seq, token_count, pinned_token_count, updated_at, status, archived_at, search_pending,"
         " archived_seq"
         " FROM convstore_conversations"
         " WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL"},
    [SQLITE_STMT_TOUCH_CONVERSATION] =
        {"touch_conversation",
         "UPDATE convstore_conversations SET updated_at = ?3 WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL"
         " RETURNING archived_seq"},

    /* Under the write lock, after live_conversation: so the values are the caller's sums. Not one UPDATE ... RETURNING,
     * for which SQLite opens a temporary table at each call. */
    [SQLITE_STMT_ADVANCE_CONVERSATION] =
        {"advance_conversation",
         "UPDATE convstore_conversations SET last_seq = ?3, token_count = ?4, pinned_token_count = ?5, updated_at = ?6,"
         " status = ?7 WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_MARK_SEARCH_PENDING] =
        {"mark_search_pending",
         "UPDATE convstore_conversations SET search_pending = 1 WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_INSERT_MESSAGE] =
        {"insert_message",
         "INSERT INTO convstore_messages (user_id, conversation_id, seq, id, role, content, parts, name, tool_calls,"
         " tool_call_id, attachments, metadata, token_count, created_at, token_total)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"},

    /* Conversations after ?2 in which messages may lie that no run covers. */
    [SQLITE_STMT_SEARCH_PENDING] =
        {"search_pending",
         "SELECT id, last_seq, archived_seq FROM convstore_conversations"
         " WHERE user_id = ?1 AND id > ?2 AND search_pending = 1 AND deleted_at IS NULL ORDER BY id LIMIT 1"},
    [SQLITE_STMT_SEARCH_RUNS] = {"search_runs",
                                 "SELECT first_seq, last_seq FROM convstore_search_runs"
                                 " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY first_seq"},
    [SQLITE_STMT_SEARCH_SEGMENTS] =
        {"search_segments",
         "SELECT id, messages FROM convstore_search_segments WHERE user_id = ?1 ORDER BY id"},
    [SQLITE_STMT_SEARCH_POSTINGS] = {"search_postings",
                                     "SELECT postings FROM convstore_search_postings"
                                     " WHERE user_id = ?1 AND segment_id = ?2 AND bucket = ?3"},
    /* The conversation of a message that was found. */
    [SQLITE_STMT_SEARCH_FOUND] = {"search_found", "SELECT title, archived_seq FROM convstore_conversations"
                                                  " WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL"},
    /* Gives the new segment's id. */
    [SQLITE_STMT_INSERT_SEGMENT] =
        {"insert_segment",
         "INSERT INTO convstore_search_segments (user_id, conversation_id, id, n_messages, messages)"
         " SELECT ?1, ?2, coalesce(max(id), 0) + 1, ?3, ?4 FROM convstore_search_segments WHERE user_id = ?1"
         " RETURNING id"},
    [SQLITE_STMT_INSERT_RUN] =
        {"insert_run",
         "INSERT INTO convstore_search_runs (user_id, conversation_id, first_seq, last_seq, segment_id)"
         " VALUES (?1, ?2, ?3, ?4, ?5)"},
    [SQLITE_STMT_INSERT_POSTINGS] =
        {"insert_postings", "INSERT INTO convstore_search_postings (user_id, segment_id, bucket, postings)"
                            " VALUES (?1, ?2, ?3, ?4)"},
    [SQLITE_STMT_SEARCH_INDEXED] =
        {"search_indexed",
         "UPDATE convstore_conversations SET search_pending = 0 WHERE user_id = ?1 AND id = ?2"},
    /* What shares a segment with messages ?3 to ?4 has to be indexed anew when that is dropped. */
    [SQLITE_STMT_REOPEN_NEIGHBOURS] =
        {"reopen_neighbours",
         "UPDATE convstore_conversations SET search_pending = 1 WHERE user_id = ?1 AND search_pending = 0"
         " AND id IN (SELECT conversation_id FROM convstore_search_runs"
         " WHERE user_id = ?1 AND segment_id IN (" THESE_SEGMENTS "))"},
    [SQLITE_STMT_DROP_SEGMENTS] =
        {"drop_segments",
         "DELETE FROM convstore_search_segments WHERE user_id = ?1 AND id IN (" THESE_SEGMENTS ")"},
    [SQLITE_STMT_REOPEN_ALL] = {"reopen_all", "UPDATE convstore_conversations SET search_pending = 1"
                                              " WHERE user_id = ?1 AND search_pending = 0"},
    /* Those of segments go with them; where foreign keys were off there may be others. */
    [SQLITE_STMT_DROP_ALL_RUNS] = {"drop_all_runs", "DELETE FROM convstore_search_runs WHERE user_id = ?1"},
    [SQLITE_STMT_DROP_ALL_POSTINGS] = {"drop_all_postings",
                                       "DELETE FROM convstore_search_postings WHERE user_id = ?1"},
    [SQLITE_STMT_DROP_ALL_SEGMENTS] = {"drop_all_segments",
                                       "DELETE FROM convstore_search_segments WHERE user_id = ?1"},
    [SQLITE_STMT_LIST + CONVSTORE_DELETED_NO] = {"list", LIST_IN_ORDER("updated_at")},
    [SQLITE_STMT_LIST +
        CONVSTORE_DELETED_ONLY] = {"list_deleted", LIST("updated_at", LIST_ROWS("updated_at", LIST_DELETED))},
    [SQLITE_STMT_LIST + CONVSTORE_DELETED_ANY] = {"list_any", LIST("updated_at", LIST_UPDATED_ANY)},
    [SQLITE_STMT_LIST + SQLITE_STMT_BY_CREATED +
        CONVSTORE_DELETED_NO] = {"list_created", LIST_IN_ORDER("created_at")},
    [SQLITE_STMT_LIST + SQLITE_STMT_BY_CREATED +
        CONVSTORE_DELETED_ONLY] = {"list_created_deleted",
                                   LIST("created_at", LIST_ROWS("created_at", LIST_DELETED_ALL))},
    [SQLITE_STMT_LIST + SQLITE_STMT_BY_CREATED +
        CONVSTORE_DELETED_ANY] = {"list_created_any",
                                  LIST("created_at", LIST_ROWS("created_at", "WHERE user_id = ?1"))},
    [SQLITE_STMT_MESSAGES] =
        {"messages", PAGE_OF(LIVE) " UNION ALL " PAGE_OF(
                         ARCHIVE) " ORDER BY created_at DESC, id DESC, conversation_id DESC LIMIT ?6"},
    [SQLITE_STMT_USAGE + CONVSTORE_BY_ROLE] = {"usage", USAGE("role", "1")},
    [SQLITE_STMT_USAGE + CONVSTORE_BY_DAY] = {"usage_by_day", USAGE("created_at / 86400000", "1")},
    [SQLITE_STMT_USAGE +
        CONVSTORE_BY_CONVERSATION] = {"usage_by_conversation", USAGE("conversation_id", "3 DESC, 1")},

    /* ?5 key, ?6 title, ?7 metadata, ?8 now */
    [SQLITE_STMT_CREATE_FORK] =
        {"create_fork",
         "INSERT INTO convstore_conversations (user_id, id, key, title, metadata, last_seq, token_count,"
         " pinned_token_count, forked_from_id, forked_from_seq, created_at, updated_at)"
         " SELECT ?1, ?3, ?5, ?6, ?7, ?4, total + pinned, pinned, ?2, ?4, ?8, ?8"
         " FROM (SELECT " FORK_SUMS ")"},
    [SQLITE_STMT_FORK_MESSAGES] = {"fork_messages", FORK_MESSAGES(LIVE)},
    [SQLITE_STMT_FORK_MESSAGES + SQLITE_STMT_ARCHIVED] = {"fork_messages_archived", FORK_MESSAGES(ARCHIVE)},
    [SQLITE_STMT_FORK_SUMMARIES] =
        {"fork_summaries",
         "INSERT INTO convstore_summaries (" SUMMARY_COLUMNS ")"
         " SELECT user_id, ?3, ordinal, through, content, metadata, token_count, created_at"
         " FROM convstore_summaries WHERE user_id = ?1 AND conversation_id = ?2 AND through <= ?4"
         " ORDER BY ordinal"},
    /* ?3 through, ?4 content, ?5 metadata, ?6 token_count, ?7 now */
    [SQLITE_STMT_SUMMARIZE] =
        {"summarize",
         "INSERT INTO convstore_summaries (" SUMMARY_COLUMNS ")"
         " SELECT ?1, ?2, coalesce(max(ordinal), 0) + 1, ?3, ?4, ?5, ?6, ?7 FROM convstore_summaries"
         " WHERE user_id = ?1 AND conversation_id = ?2"},

    /* ?1 deleted before, ?2 written before, ?3 limit; NULL matches nothing */
    [SQLITE_STMT_OLD_CONVERSATIONS] =
        {"old_conversations",
         OLDEST("deleted_at < ?1", "deleted_at") " UNION " OLDEST(
             "updated_at < ?2 AND archived_at IS NULL",
             "updated_at") " UNION " OLDEST("updated_at < ?2 AND archived_at IS NOT NULL",
                                            "updated_at") " LIMIT ?3"},
    [SQLITE_STMT_IDLE_CONVERSATIONS] = {"idle_conversations",
                                        OLDEST(
                                            "updated_at < ?2 AND archived_at IS NULL AND deleted_at IS NULL",
                                            "updated_at")},
    [SQLITE_STMT_USERS_CONVERSATIONS] = {"users_conversations", OLDEST("user_id = ?1", "id")},
    /* Where the last runs begin, the ?3-th from the end first. */
    [SQLITE_STMT_LAST_RUNS] =
        {"last_runs",
         "SELECT first_seq, count(*) OVER () FROM (SELECT first_seq FROM convstore_search_runs"
         " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY first_seq DESC LIMIT ?3) ORDER BY first_seq"},
    /* ?3 now, ?4 the last message that stays */
    [SQLITE_STMT_SHRINK_CONVERSATION] =
        {"shrink_conversation",
         "UPDATE convstore_conversations SET last_seq = ?4, archived_seq = min(archived_seq, ?4),"
         " (token_count, pinned_token_count) ="
         " (SELECT total + pinned, pinned FROM (SELECT " FORK_SUMS ")),"
         " deleted_at = coalesce(deleted_at, ?3), search_pending = 1 WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_SHRINK_SUMMARIES] =
        {"shrink_summaries",
         "DELETE FROM convstore_summaries WHERE user_id = ?1 AND conversation_id = ?2 AND through > ?4"},
    [SQLITE_STMT_SHRINK_MESSAGES] = {"shrink_messages", SHRINK_MESSAGES(LIVE)},
    [SQLITE_STMT_SHRINK_MESSAGES +
        SQLITE_STMT_ARCHIVED] = {"shrink_messages_archived", SHRINK_MESSAGES(ARCHIVE)},
    [SQLITE_STMT_LAST_MESSAGES] = {"last_messages", LAST_MESSAGES(LIVE)},
    [SQLITE_STMT_LAST_MESSAGES + SQLITE_STMT_ARCHIVED] = {"last_messages_archived", LAST_MESSAGES(ARCHIVE)},
    [SQLITE_STMT_LAST_MESSAGES + SQLITE_STMT_BOTH] = {"last_messages_both", LAST_MESSAGES(BOTH)},
    /* The ?4-th message behind ?3. */
    [SQLITE_STMT_FIRST_MESSAGES] = {"first_messages",
                                    "SELECT seq FROM " LIVE
                                    " WHERE user_id = ?1 AND conversation_id = ?2 AND seq > ?3"
                                    " ORDER BY seq LIMIT 1 OFFSET ?4 - 1"},
    [SQLITE_STMT_MOVE_COPY] = {"archive_copy", MOVE_COPY(LIVE, ARCHIVE)},
    [SQLITE_STMT_MOVE_COPY + SQLITE_STMT_ARCHIVED] = {"unarchive_copy", MOVE_COPY(ARCHIVE, LIVE)},
    [SQLITE_STMT_MOVE_DELETE] = {"archive_delete", MOVE_DELETE(LIVE)},
    [SQLITE_STMT_MOVE_DELETE + SQLITE_STMT_ARCHIVED] = {"unarchive_delete", MOVE_DELETE(ARCHIVE)},
    /* ?3 archived_seq, ?4 now, where that is all of it */
    [SQLITE_STMT_MARK_ARCHIVED] =
        {"mark_archived",
         "UPDATE convstore_conversations SET archived_seq = ?3, archived_at = iif(last_seq = ?3, ?4, NULL),"
         " status = iif(last_seq = ?3 AND status = 'active', 'archived', status) WHERE user_id = ?1 AND id = ?2"},
    /* ?3 archived_seq, ?4 whether an append comes next */
    [SQLITE_STMT_MARK_UNARCHIVED] =
        {"mark_unarchived", "UPDATE convstore_conversations SET archived_seq = ?3,"
                            " archived_at = iif(?4, NULL, archived_at) WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_JOURNAL_MODE] = {"journal_mode", "PRAGMA journal_mode"},
    /* A page of users: ?1 the last one, or what is before all, ?2 limit. From user to user by index, whatever the
     * number of conversations between; then the conversations of these alone. Unlike sum(), total() gives no error for
     * damaged counters, and is exact up to 2^53. */
    [SQLITE_STMT_USERS] =
        {"users",
         "WITH RECURSIVE u (user_id, n) AS ("
         "SELECT (SELECT user_id FROM convstore_conversations WHERE user_id > ?1 ORDER BY user_id LIMIT 1), 1"
         " UNION ALL SELECT (SELECT c.user_id FROM convstore_conversations AS c WHERE c.user_id > u.user_id"
         " ORDER BY c.user_id LIMIT 1), n + 1 FROM u WHERE u.user_id IS NOT NULL AND n < ?2)"
         " SELECT c.user_id, count(*), CAST(total(c.last_seq) AS INTEGER), max(c.updated_at) FROM u"
         " CROSS JOIN convstore_conversations AS c ON c.user_id = u.user_id"
         " GROUP BY c.user_id ORDER BY c.user_id"},
    [SQLITE_STMT_STATS] =
        {"stats", "SELECT count(*), coalesce(sum(conversations), 0), CAST(total(messages) AS INTEGER),"
                  " CAST(total(archived) AS INTEGER),"
                  " (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)"
                  " FROM (SELECT count(*) AS conversations, total(last_seq) AS messages,"
                  " total(archived_seq) AS archived"
                  " FROM convstore_conversations GROUP BY user_id)"},
    [SQLITE_STMT_QUICK_CHECK] = {"quick_check", QUICK_CHECK},
    [SQLITE_STMT_CHECK_MESSAGES] = {"check_messages", CHECK_OF_MESSAGES},
    [SQLITE_STMT_CHECK_SEARCH] = {"check_search", CHECK_OF_SEARCH},
    [SQLITE_STMT_CHECK_REST] = {"check_rest", CHECK_OF_THE_REST},
    [SQLITE_STMT_CHECK_FOREIGN_KEYS] = {"check_foreign_keys", CHECK_FOREIGN_KEYS},

    [SQLITE_STMT_MESSAGE_BY_SEQ] = {"message_by_seq", MESSAGE_BY_SEQ(LIVE)},
    [SQLITE_STMT_MESSAGE_BY_SEQ +
        SQLITE_STMT_ARCHIVED] = {"message_by_seq_archived", MESSAGE_BY_SEQ(ARCHIVE)},
    [SQLITE_STMT_MESSAGE_BY_ID] = {"message_by_id", MESSAGE_BY_ID(LIVE)},
    [SQLITE_STMT_MESSAGE_BY_ID + SQLITE_STMT_ARCHIVED] = {"message_by_id_archived", MESSAGE_BY_ID(ARCHIVE)},
    [SQLITE_STMT_MESSAGE_BY_ID + SQLITE_STMT_BOTH] = {"message_by_id_both", MESSAGE_BY_ID(BOTH)},
    [SQLITE_STMT_ANNOTATE_MESSAGE] = {"annotate_message", ANNOTATE_MESSAGE(LIVE)},
    [SQLITE_STMT_ANNOTATE_MESSAGE +
        SQLITE_STMT_ARCHIVED] = {"annotate_message_archived", ANNOTATE_MESSAGE(ARCHIVE)},
    [SQLITE_STMT_REDACT_MESSAGE] = {"redact_message", REDACT_MESSAGE(LIVE)},
    [SQLITE_STMT_REDACT_MESSAGE +
        SQLITE_STMT_ARCHIVED] = {"redact_message_archived", REDACT_MESSAGE(ARCHIVE)},

    [SQLITE_STMT_SEARCH_TEXTS] = {"search_texts", SEARCH_TEXTS(LIVE)},
    [SQLITE_STMT_SEARCH_TEXTS + SQLITE_STMT_ARCHIVED] = {"search_texts_archived", SEARCH_TEXTS(ARCHIVE)},
    [SQLITE_STMT_SEARCH_TEXTS + SQLITE_STMT_BOTH] = {"search_texts_both", SEARCH_TEXTS(BOTH)},
    [SQLITE_STMT_LATEST_SUMMARY] =
        {"latest_summary", "SELECT through, content, token_count FROM convstore_summaries"
                           " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY ordinal DESC LIMIT 1"},
    [SQLITE_STMT_PINNED] = {"pinned", PINNED(CONTEXT_COLUMNS, LIVE) " ORDER BY seq"},
    [SQLITE_STMT_PINNED +
        SQLITE_STMT_ARCHIVED] = {"pinned_archived", PINNED(CONTEXT_COLUMNS, ARCHIVE) " ORDER BY seq"},
    [SQLITE_STMT_PINNED + SQLITE_STMT_BOTH] = {"pinned_both", PINNED(CONTEXT_COLUMNS, BOTH) " ORDER BY seq"},
    [SQLITE_STMT_COUNT_PINNED] = {"count_pinned", PINNED("count(*)", LIVE) " AND seq > ?3"},
    [SQLITE_STMT_COUNT_PINNED +
        SQLITE_STMT_ARCHIVED] = {"count_pinned_archived", PINNED("count(*)", ARCHIVE) " AND seq > ?3"},
    [SQLITE_STMT_COUNT_PINNED +
        SQLITE_STMT_BOTH] = {"count_pinned_both", PINNED("count(*)", BOTH) " AND seq > ?3"},
    [SQLITE_STMT_WINDOW] = {"window", WINDOW(LIVE)},
    [SQLITE_STMT_WINDOW + SQLITE_STMT_ARCHIVED] = {"window_archived", WINDOW(ARCHIVE)},
    [SQLITE_STMT_WINDOW + SQLITE_STMT_BOTH] = {"window_both", WINDOW(BOTH)},

    [SQLITE_STMT_HISTORY] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, "", "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, "", "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_BOTH] = {"history", RANGE(MESSAGE_COLUMNS, BOTH, "", "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_DESCENDING] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, "", "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_DESCENDING] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, "", "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_BOTH +
        SQLITE_STMT_DESCENDING] = {"history", RANGE(MESSAGE_COLUMNS, BOTH, "", "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_BOTH +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, BOTH, SOME_ROLES, "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_BOTH + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, BOTH, SOME_ROLES, "DESC")},
    /* Without roles they follow from last_seq. */
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ROLES] = {"bounds", BOUNDS(LIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(ARCHIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_BOTH + SQLITE_STMT_ROLES] = {"bounds", BOUNDS(BOTH, SOME_ROLES, "ASC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(LIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ARCHIVED + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(ARCHIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_BOTH + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(BOTH, SOME_ROLES, "DESC")},
};
