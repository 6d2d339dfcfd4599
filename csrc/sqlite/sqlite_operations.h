/* The operations, by subject, for the table in sqlite_backend.c. Each is a backend's `start` for one operation. */
#ifndef CONVSTORE_SQLITE_OPERATIONS_H
#define CONVSTORE_SQLITE_OPERATIONS_H

#include "../core/segment.h"
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

/* sqlite_search.c */
sqlite_operation convstore__sqlite_search;

/* sqlite_search_index.c: what searches have written, and what they have still to read. */

/* How far a walk over the user's messages that are not indexed has got. Start from zeroes. */
struct sqlite_tail {
  char conversation_id[CONVSTORE_ID_SIZE]; /* the one it is in; "": before the first */
  int64_t last_seq;                        /* of that */
  int64_t archived_seq;                    /* and this: see struct sqlite_live */
  int64_t seq;                             /* up to here it is read, or indexed */
  bool done;                               /* nothing is left */
};

/* A part of them, as a segment. It lies in the arena that it was read into. */
struct sqlite_tail_part {
  struct convstore_segment segment;
  size_t n_bytes;                      /* of texts */
  char (*finished)[CONVSTORE_ID_SIZE]; /* conversations that the walk has left behind */
  size_t n_finished;
};

/* Walks on from *tail, until it is done or the part has a segment's size. The walk belongs to one transaction. */
int convstore__sqlite_read_tail(struct sqlite_tail_part *out, struct sqlite_tail *tail,
                                convstore_result *memory, struct sqlite_connection *connection,
                                struct convstore_call *call);
bool convstore__sqlite_is_worth_a_segment(const struct sqlite_tail_part *part,
                                          const struct sqlite_tail *tail);
/* Indexes parts, each in a transaction of its own, until too little is left for a segment. E_TIMEOUT at the deadline;
 * E_BUSY after a short wait for the lock. */
int convstore__sqlite_index_tail(struct sqlite_connection *connection, struct convstore_call *call);
/* Makes all of the user's messages ones that are not indexed. */
int convstore__sqlite_drop_index(struct sqlite_connection *connection, struct convstore_call *call);
/* Takes the segments that hold any of these messages of the call's conversation out of the index: nothing of them may
 * stay in it. The other messages in them will be indexed anew. */
int convstore__sqlite_drop_segments(struct sqlite_connection *connection, const struct convstore_call *call,
                                    int64_t first_seq, int64_t last_seq);
/* sqlite_lists.c, sqlite_usage.c, sqlite_fork.c */
sqlite_operation convstore__sqlite_list;
sqlite_operation convstore__sqlite_messages;
sqlite_operation convstore__sqlite_usage;
sqlite_operation convstore__sqlite_fork;
sqlite_operation convstore__sqlite_summarize;
/* sqlite_retention.c */
sqlite_operation convstore__sqlite_erase;
sqlite_operation convstore__sqlite_purge_old;
sqlite_operation convstore__sqlite_archive;
/* Takes what was erased out of the file beside the database, too. */
void convstore__sqlite_forget_log(struct sqlite_connection *connection, const struct convstore_call *call);
/* How long a part of a move goes on, where messages are large. A variable: tests that repeat a call want the same
 * parts. */
extern int64_t convstore__sqlite_part_ms;
/* sqlite_archive.c: under the write lock, a part of the call's conversation goes to the archive, and *archived_seq
 * becomes what its row says then. */
int convstore__sqlite_archive_part(int64_t *archived_seq, struct sqlite_connection *connection,
                                   const struct convstore_call *call, int64_t last_seq, int64_t until_ms);
/* Between two parts: lets others write. */
void convstore__sqlite_pause(const struct sqlite_connection *connection, const struct convstore_call *call);
/* sqlite_context.c */
sqlite_operation convstore__sqlite_context;

/* sqlite_operators.c, sqlite_check.c, sqlite_backup.c */
sqlite_operation convstore__sqlite_users;
sqlite_operation convstore__sqlite_stats;
sqlite_operation convstore__sqlite_check;
/* What a check's statement failed with; out of time is the check's own matter. */
int convstore__sqlite_fail_check(struct sqlite_connection *connection, struct convstore_call *call, int code);
/* Adds what is wrong with the blobs of the search index; sqlite_check_index.c. */
int convstore__sqlite_check_index(size_t *capacity, struct sqlite_connection *connection,
                                  struct convstore_call *call);
sqlite_operation convstore__sqlite_backup;

/* sqlite_schema.c */
sqlite_operation convstore__sqlite_open_schema; /* the second half of CONVSTORE_OPEN */
sqlite_operation convstore__sqlite_schema_version;
sqlite_operation convstore__sqlite_migrations;
sqlite_operation convstore__sqlite_migrate;
/* Sees that no other process has changed our tables since they were last looked at. E_SCHEMA. With `hold` what is read
 * until convstore__sqlite_end_check() is of the same state of the file, which is locked for reading once for both:
 * nothing may be written meanwhile. */
int convstore__sqlite_check_schema(struct sqlite_connection *connection, struct convstore_call *call,
                                   bool hold);
void convstore__sqlite_end_check(struct sqlite_connection *connection);

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
  int64_t archived_seq; /* messages up to here lie in the archive, later ones do not */
  bool archived;        /* an append is to bring them back */
  bool search_pending;  /* searches know that they have to look for new messages here */
};

/* What to add to a statement that comes three times, so that it reads messages behind `after`, up to `last`, where they
 * lie. */
static inline int convstore__sqlite_place(int64_t archived_seq, int64_t after, int64_t last) {
  if (after >= archived_seq) return 0;
  return last <= archived_seq ? SQLITE_STMT_ARCHIVED : SQLITE_STMT_BOTH;
}

/* sqlite_archive.c: a part comes back for an append, which follows if *last, else behind another part. */
int convstore__sqlite_unarchive_part(bool *last, struct sqlite_live *live,
                                     struct sqlite_connection *connection, const struct convstore_call *call);

/*
 * Finds the call's conversation among those that are not deleted. The statement stays on its row, which keeps the read
 * transaction open, so that what is read next belongs to the same moment: reset *statement when done.
 * E_NOT_FOUND.
 */
int convstore__sqlite_find_live(struct sqlite_live *out, sqlite3_stmt **statement,
                                struct sqlite_connection *connection, struct convstore_call *call);

/* Reads a row of CONVERSATION_COLUMNS. */
int convstore__sqlite_read_conversation(convstore_conversation *out, sqlite3_stmt *row,
                                        struct convstore_call *call);

/* Makes the user's conversation with this id, deleted or not, the result's, if there is one. */
int convstore__sqlite_find_conversation(bool *found, struct sqlite_connection *connection,
                                        struct convstore_call *call, const char *id);

/* Reads a row of MESSAGE_COLUMNS. */
int convstore__sqlite_read_message(convstore_message *out, sqlite3_stmt *row, struct convstore_call *call);
/* The same with what only contexts may see: as tool_calls of a redacted message the ids that its calls had. */
int convstore__sqlite_read_stored(convstore_message *out, sqlite3_stmt *row, struct convstore_call *call);

/* Metadata that the database merged may have grown over the limit. E_TOO_LARGE. */
int convstore__sqlite_check_merged(struct sqlite_connection *connection, struct convstore_call *call,
                                   convstore_text metadata);
/* The status of a merge of `metadata` that failed with `status`: E_TOO_LARGE where the column's own limit may have
 * refused it. */
int convstore__sqlite_fail_merge(struct sqlite_connection *connection, struct convstore_call *call,
                                 convstore_text metadata, int status);

#endif
