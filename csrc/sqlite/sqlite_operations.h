/* The operations, by subject, for the table in sqlite_backend.c. Each is a backend's `start` for one operation. */
#ifndef CONVSTORE_SQLITE_OPERATIONS_H
#define CONVSTORE_SQLITE_OPERATIONS_H

#include "sqlite_connection.h"

typedef int sqlite_operation(struct sqlite_connection *connection, struct convstore_call *call);

/* sqlite_conversations.c */
sqlite_operation convstore__sqlite_create_conversation;
sqlite_operation convstore__sqlite_conversation_by_key;
sqlite_operation convstore__sqlite_get_conversation;
sqlite_operation convstore__sqlite_update_conversation;
sqlite_operation convstore__sqlite_delete_conversation;
sqlite_operation convstore__sqlite_restore_conversation;
sqlite_operation convstore__sqlite_purge_conversation;

/* convstore__sqlite_append.c */
sqlite_operation convstore__sqlite_append;

/* sqlite_messages.c */
sqlite_operation convstore__sqlite_message;
sqlite_operation convstore__sqlite_history;
sqlite_operation convstore__sqlite_bounds;
sqlite_operation convstore__sqlite_annotate;
sqlite_operation convstore__sqlite_redact;

/* sqlite_context.c */
sqlite_operation convstore__sqlite_context;

/* sqlite_schema.c */
sqlite_operation convstore__sqlite_open_schema; /* the second half of CONVSTORE_OPEN */
sqlite_operation convstore__sqlite_schema_version;
sqlite_operation convstore__sqlite_migrations;
sqlite_operation convstore__sqlite_migrate;
/* Sees that no other process has changed our tables since they were last looked at. E_SCHEMA. */
int convstore__sqlite_check_schema(struct sqlite_connection *connection, struct convstore_call *call);

/* sqlite_users.c: the option `users` in the form that is compared, and the type of the column that it names. */
int convstore__sqlite_normalize_users(char out[CONVSTORE_USERS_SIZE], const char *option,
                                      convstore_error *err);
int convstore__sqlite_users_type(convstore_user_id_type *out, struct sqlite_connection *connection,
                                 convstore_error *err);

/* What an append and a read need to know of a conversation that is there. */
struct sqlite_live {
  int64_t last_seq;
  int64_t token_count;
  int64_t pinned_token_count;
  int64_t updated_at_ms;
  convstore_mark mark;
  bool archived;
};

/*
 * Finds the call's conversation among those that are not deleted. The statement stays on its row, which keeps the read
 * transaction open, so that what is read next belongs to the same moment: reset *statement when done.
 * E_NOT_FOUND.
 */
int convstore__sqlite_find_live(struct sqlite_live *out, sqlite3_stmt **statement,
                                struct sqlite_connection *connection, struct convstore_call *call);

/* Reads a row of MESSAGE_COLUMNS. */
int convstore__sqlite_read_message(convstore_message *out, sqlite3_stmt *row, struct convstore_call *call);

/* Metadata that the database merged may have grown over the limit. E_TOO_LARGE. */
int convstore__sqlite_check_merged(struct sqlite_connection *connection, struct convstore_call *call,
                                   convstore_text metadata);
/* The status of a merge of `metadata` that failed with `status`: E_TOO_LARGE where the column's own limit may have
 * refused it. */
int convstore__sqlite_fail_merge(struct sqlite_connection *connection, struct convstore_call *call,
                                 convstore_text metadata, int status);

#endif
