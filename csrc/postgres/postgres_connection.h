/*
 * One PostgreSQL connection and the call that is under way on it; what the operations are written in.
 * Private to this folder, the only one that includes <libpq-fe.h>.
 *
 * Nothing here waits. A call is a row of rounds: an operation queues the statements of a round, the round travels as
 * one pipeline in a transaction of its own (or in a savepoint of the caller's transaction), and the operation looks at
 * what came back and is done, or asks for another round. What can be tried again is tried again from the first round.
 */
#ifndef CONVSTORE_POSTGRES_CONNECTION_H
#define CONVSTORE_POSTGRES_CONNECTION_H

/* Debian has it in a folder of its own, which pg_config knows but LuaRocks does not. */
#if defined(__has_include)
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif
#else
#include <libpq-fe.h>
#endif

#include "../core/arena.h"
#include "../core/backend.h"
#include "../core/refusal.h"
#include "../core/users.h"
#include "postgres_statements.h"

#define POSTGRES_DEFAULT_SCHEMA "convstore"
#define POSTGRES_DEFAULT_ROLE "convstore_user"
#define POSTGRES_DEFAULT_OPERATOR_ROLE "convstore_operator"

/** Answered by the functions of a connection and of an operation, beside the statuses and CONVSTORE_PENDING. */
enum {
  POSTGRES_AGAIN = 2, /* an operation: one more round, please; connection->step says which */
  POSTGRES_LOST = 3   /* the connection is gone; connection->lost_reason says why */
};

enum postgres_phase {
  POSTGRES_IDLE,
  POSTGRES_RESOLVING,  /* a helper thread looks up the hosts' names */
  POSTGRES_CONNECTING, /* libpq is at it */
  POSTGRES_RESTING,    /* before the next try to connect */
  POSTGRES_SENDING,    /* a round is to be queued */
  POSTGRES_EXCHANGING, /* it travels */
  POSTGRES_SETTLING    /* the call is over, but for a cancel request that is still on its way */
};

/* One statement on its way. A Parse message ahead of it, which makes it a prepared one, is an entry of its own. */
struct postgres_entry {
  int statement; /* enum postgres_stmt, or -1 */
  bool parses;
  bool asked;       /* by the operation; the others are the transaction's */
  PGresult *result; /* owned */
};

struct postgres_pipeline {
  struct postgres_entry *entries;
  size_t n;
  size_t capacity;
  size_t n_read;
  bool queued_badly;     /* libpq had no memory, or no connection */
  bool waited;           /* for the answers, since it was sent */
  const PGresult *error; /* of the first entry that failed, borrowed */
};

/* A statement's text for this connection, and whether the server has it. It has it only when its own Parse message was
 * answered well: behind an error in a pipeline later ones are skipped. */
struct postgres_prepared {
  const char *sql;
  char name[64]; /* with a checksum of the text: behind a pooler somebody else's statement may be there */
  enum {
    POSTGRES_UNPREPARED,
    POSTGRES_PREPARING, /* its Parse message is on its way */
    POSTGRES_PREPARED
  } state;
};

struct convstore_context_builder;
struct postgres_cancel;
struct postgres_candidate;
struct postgres_lookup;
struct postgres_index_check;
struct postgres_operation;
struct postgres_params;
struct postgres_schema_state;
struct postgres_search;

struct postgres_connection {
  struct convstore_connection base; /* first: the core sees only this */
  PGconn *db;                       /* NULL: none */
  convstore_options options;        /* its texts are the ones below */
  char *dsn;
  char *schema; /* as it is, unquoted */
  char *role;   /* NULL: none is taken on */
  char *operator_role;
  char *jwt_claim; /* as the schema has it, or as asked; NULL: the setting convstore.user_id */
  char users[CONVSTORE_USERS_SIZE]; /* the option as SQL, or "" */

  bool asked_claim;       /* the options name a claim */
  bool unnamed;           /* the server, or a pooler before it, has no prepared statements for us */
  convstore_result texts; /* owns the statements' texts */
  struct postgres_prepared statements[POSTGRES_STMTS];

  bool begun; /* the caller's transaction has begun on the server, too */
  bool open;  /* a transaction of the call's own is open between two rounds */

  /* The call under way; postgres_call.c. */
  const struct postgres_operation *operation;
  enum postgres_phase phase;
  struct postgres_pipeline pipeline;
  bool keep_open;      /* set by an operation's send: do not commit at the end of this round */
  bool may_be_done;    /* an earlier try was lost after it was sent: it may have been committed */
  bool began_before;   /* the caller's transaction had begun before this call */
  bool recovering;     /* the round that travels only undoes one that failed */
  bool must_recover;   /* the next round has to undo the one before first */
  bool refused_writes; /* the last connection was to a server that takes none */
  int step;            /* the operation's own; 0 at each new try */
  int verdict;         /* what to answer after that */
  unsigned n_lost;     /* connections, in this call */
  unsigned n_repeated; /* how often the server undid this call and it was run again */
  unsigned n_tries;    /* to connect, since there was no connection */
  bool was_connected;  /* ever */
  int64_t tries_began_ms;
  unsigned jitter; /* a random number's state */
  int64_t rest_until_ms;
  char lost_reason[256];

  struct postgres_cancel *cancel; /* of the call under way, where it was interrupted; NULL: none */

  struct postgres_search *search;            /* of the call under way, in its result's arena */
  convstore_result scratch;                  /* memory of a search that it needs for a round only */
  struct convstore_context_builder *context; /* of the call under way, in its result's arena */

  struct postgres_index_check *index_check; /* of the check under way, in its result's arena */
  size_t n_problems;                        /* room for those that it has found */

  int64_t target;                             /* of a migration */
  struct postgres_schema_state *schema_state; /* of the call under way, in its result's arena */

  /* Connecting; postgres_connection.c. */
  struct postgres_lookup *lookup; /* NULL unless RESOLVING */
  struct postgres_candidate *candidates;
  size_t n_candidates;
  size_t candidate;
  int64_t connect_timeout_ms; /* the DSN's own, for each candidate; 0: none */
  int64_t candidate_until_ms;
  PostgresPollingStatusType polling; /* of the last step */
  bool standby_first; /* prefer-standby: a first pass over all hosts looks for a standby only */
};

/* ---- postgres_connection.c ------------------------------------------------------------------------------------- */

/* Begins to connect; then convstore__postgres_connect() is called until it answers something else than
 * CONVSTORE_PENDING.
 * CONVSTORE_OK: connected, in pipeline mode; POSTGRES_LOST: nobody answered, but somebody may later; else a status that
 * no waiting changes. call->want is filled with CONVSTORE_PENDING. */
void convstore__postgres_connect_start(struct postgres_connection *connection);
int convstore__postgres_connect(struct postgres_connection *connection, struct convstore_call *call);

/* Whether there is a connection, as far as that is known without waiting; drops it where it has gone. */
bool convstore__postgres_is_connected(struct postgres_connection *connection);

/* Notes why a connection was lost or did not come about, on one line. */
void convstore__postgres_set_reason(struct postgres_connection *connection, const char *reason);

/* Notes that the names of the hosts were still being looked up. */
void convstore__postgres_note_lookup_late(struct postgres_connection *connection);

/* Notes an event: the connection is lost, by what postgres_set_reason() was told. `error` may be NULL. */
void convstore__postgres_note_lost(struct postgres_connection *connection, int status, const PGresult *error);

/* Drops the connection and what was under way on it. The caller's transaction is then over. */
void convstore__postgres_drop(struct postgres_connection *connection);

/* Queues the BEGIN of a caller's transaction; postgres_call.c. */
void convstore__postgres_queue_begin(struct postgres_connection *connection);

/* ---- operations ------------------------------------------------------------------------------------------------ */

typedef int postgres_send_function(struct postgres_connection *connection, struct convstore_call *call);
typedef int postgres_receive_function(struct postgres_connection *connection, struct convstore_call *call);
typedef int postgres_refuse_function(struct postgres_connection *connection, struct convstore_call *call,
                                     const char *sqlstate);

/* What surrounds a round of an operation. */
enum postgres_frame {
  POSTGRES_FRAME_USER,     /* a transaction as the call's user */
  POSTGRES_FRAME_OPERATOR, /* a transaction over all users, as the operators' role */
  POSTGRES_FRAME_SCHEMA,   /* a transaction as the login itself */
  POSTGRES_FRAME_NONE      /* nothing: the operation is about transactions */
};

struct postgres_operation {
  enum postgres_frame frame;
  /* Queues the round connection->step. CONVSTORE_OK, or a status; POSTGRES_AGAIN is not for it. */
  postgres_send_function *send;
  /* Reads what came back. CONVSTORE_OK: done; POSTGRES_AGAIN; a status. */
  postgres_receive_function *receive;
  /* Judges a broken constraint, or a server that takes no writes. 0: nothing special about it; POSTGRES_AGAIN; a
   * status. NULL: never special. */
  postgres_refuse_function *refuse;
};

/* postgres_conversations.c */
extern const struct postgres_operation convstore__postgres_create;
extern const struct postgres_operation convstore__postgres_conversation;
extern const struct postgres_operation convstore__postgres_get;
extern const struct postgres_operation convstore__postgres_update;
extern const struct postgres_operation convstore__postgres_delete;
extern const struct postgres_operation convstore__postgres_restore;
extern const struct postgres_operation convstore__postgres_purge;

/* Reads a row of CONVERSATION_COLUMNS that begins at `column`. The result's arena must be there. */
int convstore__postgres_read_conversation(convstore_conversation *out, const PGresult *result, int row,
                                          int column, struct convstore_call *call);
/* The types of CONVERSATION_COLUMNS, for convstore__postgres_check_columns(). */
#define POSTGRES_CONVERSATION_TYPES                                                                          \
  POSTGRES_UUID, POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_JSONB, POSTGRES_INT8, POSTGRES_INT8,  \
      POSTGRES_UUID, POSTGRES_INT8, POSTGRES_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ
enum {
  POSTGRES_CONVERSATION_COLUMNS = 12
};

/* postgres_append.c */
extern const struct postgres_operation convstore__postgres_append;

/* postgres_messages.c */
extern const struct postgres_operation convstore__postgres_message;
extern const struct postgres_operation convstore__postgres_history;
extern const struct postgres_operation convstore__postgres_bounds;
extern const struct postgres_operation convstore__postgres_annotate;
extern const struct postgres_operation convstore__postgres_redact;
/* Reads a row of MESSAGE_COLUMNS. The result's arena must be there. */
int convstore__postgres_read_message(convstore_message *out, const PGresult *result, int row,
                                     struct convstore_call *call);
/* The same with what only contexts may see: as tool_calls of a redacted message the ids that its calls had. */
int convstore__postgres_read_stored(convstore_message *out, const PGresult *result, int row,
                                    struct convstore_call *call);
/* Adds the request's roles as an array of their names; NULL: any. E_MEMORY. */
int convstore__postgres_add_roles(struct postgres_params *params, struct convstore_call *call);
/* Checks that the columns of a result are those of a message; E_SCHEMA. */
int convstore__postgres_check_message_columns(const PGresult *result, struct convstore_call *call);

/* postgres_search.c */
extern const struct postgres_operation convstore__postgres_search;
/* Queues two statements that take the segments with any of these messages of the call's conversation out of the search
 * index, behind one that has locked the conversation: nothing of them may stay in it. */
void convstore__postgres_queue_drop_segments(struct postgres_connection *connection,
                                             const struct convstore_call *call, int64_t first_seq,
                                             int64_t last_seq);
/* postgres_lists.c, postgres_usage.c, postgres_fork.c */
extern const struct postgres_operation convstore__postgres_list;
extern const struct postgres_operation convstore__postgres_messages;
extern const struct postgres_operation convstore__postgres_usage;
extern const struct postgres_operation convstore__postgres_fork;
extern const struct postgres_operation convstore__postgres_summarize;
/* postgres_retention.c */
extern const struct postgres_operation convstore__postgres_erase;
extern const struct postgres_operation convstore__postgres_purge_old;
extern const struct postgres_operation convstore__postgres_archive;
/* postgres_operators.c, postgres_check.c */
extern const struct postgres_operation convstore__postgres_users;
extern const struct postgres_operation convstore__postgres_stats;
extern const struct postgres_operation convstore__postgres_check;
/* postgres_check_index.c: as the last of a check's first round, the first page of the search index; in each later
 * round, the next. POSTGRES_AGAIN: there may be one. */
int convstore__postgres_queue_index_check(struct postgres_connection *connection,
                                          struct convstore_call *call);
int convstore__postgres_receive_index_check(size_t *capacity, struct postgres_connection *connection,
                                            struct convstore_call *call);
/* In a round of an operation over all users: that the login sees them all where it takes no role on. Both count as the
 * operation's last statement, if `role` is NULL. E_DENIED. */
void convstore__postgres_queue_sight(struct postgres_connection *connection);
int convstore__postgres_receive_sight(struct postgres_connection *connection, size_t k,
                                      struct convstore_call *call);
/* postgres_context.c */
extern const struct postgres_operation convstore__postgres_context;

/* postgres_schema.c, postgres_migrate.c */
extern const struct postgres_operation
    convstore__postgres_open; /* what CONVSTORE_OPEN does when it is connected */
extern const struct postgres_operation convstore__postgres_schema_version;
extern const struct postgres_operation convstore__postgres_migrations;
extern const struct postgres_operation convstore__postgres_migrate;

#endif
