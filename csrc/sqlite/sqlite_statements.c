/*
 * Every DML text of the SQLite backend, in one table; the schema itself is in migrations/.
 * Parameters are numbered alike: ?1 user_id, ?2 conversation id. Each statement on data carries `user_id = ?1`: nothing
 * is reachable without it. The benchmark's C twin runs these very texts.
 */
#include "sqlite_statements.h"

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

#define MESSAGE_BY_SEQ(table)                                                                                \
  "SELECT " MESSAGE_COLUMNS " FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3"
#define MESSAGE_BY_ID(table)                                                                                 \
  "SELECT " MESSAGE_COLUMNS " FROM " table " WHERE user_id = ?1 AND conversation_id = ?2 AND id = ?3"
#define ANNOTATE_MESSAGE(table)                                                                              \
  "UPDATE " table " SET metadata = json_patch(coalesce(metadata, '{}'), ?4), updated_at = ?5"                \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3 RETURNING " MESSAGE_COLUMNS
#define REDACT_MESSAGE(table)                                                                                \
  "UPDATE " table " SET content = NULL, parts = NULL, name = NULL, tool_calls = NULL, attachments = NULL,"   \
  " metadata = NULL, redacted_at = coalesce(redacted_at, ?4)"                                                \
  " WHERE user_id = ?1 AND conversation_id = ?2 AND seq = ?3 RETURNING " MESSAGE_COLUMNS

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
         "SELECT last_seq, token_count, pinned_token_count, updated_at, status, archived_at"
         " FROM convstore_conversations"
         " WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL"},
    [SQLITE_STMT_TOUCH_CONVERSATION] =
        {"touch_conversation",
         "UPDATE convstore_conversations SET updated_at = ?3 WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL"
         " RETURNING archived_at"},

    /* Under the write lock, after live_conversation: so the values are the caller's sums. Not one UPDATE ... RETURNING,
     * for which SQLite opens a temporary table at each call. */
    [SQLITE_STMT_ADVANCE_CONVERSATION] =
        {"advance_conversation",
         "UPDATE convstore_conversations SET last_seq = ?3, token_count = ?4, pinned_token_count = ?5, updated_at = ?6,"
         " status = ?7 WHERE user_id = ?1 AND id = ?2"},
    [SQLITE_STMT_INSERT_MESSAGE] =
        {"insert_message",
         "INSERT INTO convstore_messages (user_id, conversation_id, seq, id, role, content, parts, name, tool_calls,"
         " tool_call_id, attachments, metadata, token_count, created_at, token_total)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"},

    [SQLITE_STMT_UNARCHIVE_COPY] = {"unarchive_copy",
                                    "INSERT INTO " LIVE " (" STORED_COLUMNS ") SELECT " STORED_COLUMNS
                                    " FROM " ARCHIVE
                                    " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY seq"},
    [SQLITE_STMT_UNARCHIVE_DELETE] = {"unarchive_delete",
                                      "DELETE FROM " ARCHIVE " WHERE user_id = ?1 AND conversation_id = ?2"},
    [SQLITE_STMT_UNARCHIVE_MARK] =
        {"unarchive_mark",
         "UPDATE convstore_conversations SET archived_at = NULL WHERE user_id = ?1 AND id = ?2"},

    [SQLITE_STMT_MESSAGE_BY_SEQ] = {"message_by_seq", MESSAGE_BY_SEQ(LIVE)},
    [SQLITE_STMT_MESSAGE_BY_SEQ +
        SQLITE_STMT_ARCHIVED] = {"message_by_seq_archived", MESSAGE_BY_SEQ(ARCHIVE)},
    [SQLITE_STMT_MESSAGE_BY_ID] = {"message_by_id", MESSAGE_BY_ID(LIVE)},
    [SQLITE_STMT_MESSAGE_BY_ID + SQLITE_STMT_ARCHIVED] = {"message_by_id_archived", MESSAGE_BY_ID(ARCHIVE)},
    [SQLITE_STMT_ANNOTATE_MESSAGE] = {"annotate_message", ANNOTATE_MESSAGE(LIVE)},
    [SQLITE_STMT_ANNOTATE_MESSAGE +
        SQLITE_STMT_ARCHIVED] = {"annotate_message_archived", ANNOTATE_MESSAGE(ARCHIVE)},
    [SQLITE_STMT_REDACT_MESSAGE] = {"redact_message", REDACT_MESSAGE(LIVE)},
    [SQLITE_STMT_REDACT_MESSAGE +
        SQLITE_STMT_ARCHIVED] = {"redact_message_archived", REDACT_MESSAGE(ARCHIVE)},

    [SQLITE_STMT_LATEST_SUMMARY] =
        {"latest_summary", "SELECT through, content, token_count FROM convstore_summaries"
                           " WHERE user_id = ?1 AND conversation_id = ?2 ORDER BY ordinal DESC LIMIT 1"},
    [SQLITE_STMT_PINNED] = {"pinned", PINNED(CONTEXT_COLUMNS, LIVE) " ORDER BY seq"},
    [SQLITE_STMT_PINNED +
        SQLITE_STMT_ARCHIVED] = {"pinned_archived", PINNED(CONTEXT_COLUMNS, ARCHIVE) " ORDER BY seq"},
    [SQLITE_STMT_COUNT_PINNED] = {"count_pinned", PINNED("count(*)", LIVE) " AND seq > ?3"},
    [SQLITE_STMT_COUNT_PINNED +
        SQLITE_STMT_ARCHIVED] = {"count_pinned_archived", PINNED("count(*)", ARCHIVE) " AND seq > ?3"},
    [SQLITE_STMT_WINDOW] = {"window", WINDOW(LIVE)},
    [SQLITE_STMT_WINDOW + SQLITE_STMT_ARCHIVED] = {"window_archived", WINDOW(ARCHIVE)},

    [SQLITE_STMT_HISTORY] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, "", "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, "", "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_DESCENDING] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, "", "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_DESCENDING] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, "", "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, LIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_HISTORY + SQLITE_STMT_ARCHIVED + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"history", RANGE(MESSAGE_COLUMNS, ARCHIVE, SOME_ROLES, "DESC")},
    /* Without roles they follow from last_seq. */
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ROLES] = {"bounds", BOUNDS(LIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ARCHIVED +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(ARCHIVE, SOME_ROLES, "ASC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(LIVE, SOME_ROLES, "DESC")},
    [SQLITE_STMT_BOUNDS + SQLITE_STMT_ARCHIVED + SQLITE_STMT_DESCENDING +
        SQLITE_STMT_ROLES] = {"bounds", BOUNDS(ARCHIVE, SOME_ROLES, "DESC")},
};
