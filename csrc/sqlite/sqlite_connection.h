/*
 * One SQLite connection: opening, statements, locks and errors; what the operations are written in.
 * Private to this folder, the only one that includes <sqlite3.h>.
 */
#ifndef CONVSTORE_SQLITE_CONNECTION_H
#define CONVSTORE_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "../core/arena.h"
#include "../core/backend.h"
#include "../core/refusal.h"
#include "../core/users.h"
#include "sqlite_statements.h"

/* The steps that a migration has run, until it is known that they are committed. */
struct sqlite_ran {
  struct convstore_migration_plan plan;
  int64_t *elapsed_ms; /* of each step of it, in the result's arena */
};

struct sqlite_connection {
  struct convstore_connection base; /* first: the core sees only this */
  sqlite3 *db;
  char *path;
  char users[CONVSTORE_USERS_SIZE]; /* the option as SQL, or "" */
  convstore_options options;
  bool refers_to_users;                   /* the schema was made with a table of users */
  int64_t schema_cookie;                  /* SQLite's, when base.schema_version was learnt */
  int64_t deadline_ms;                    /* of the call under way: until when the busy handler waits */
  int64_t part_ended_ms;                  /* of a purge, an erasure, a move to the archive; monotonic */
  sqlite3_stmt *statements[SQLITE_STMTS]; /* prepared on first use */
  int statement;                          /* the one asked for last, or -1: what a wait is for */
  int64_t waited_ms;        /* for locks, in the call under way, but for the wait that goes on */
  int64_t wait_began_ms;    /* of the last wait */
  int64_t wait_ms;          /* how long that has lasted */
  int wait_statement;       /* and what it was for */
  convstore_result scratch; /* memory of a search that it needs for a while only */
  bool tail_is_long;        /* index_part() in sqlite_search_index.c: there is more to do */
  size_t n_indexed;         /* the same: messages in the segment that it wrote */
  struct sqlite_ran ran;    /* steps of the migration under way; sqlite_schema.c */
  bool index_is_damaged;    /* a search met what none wrote */
  bool interrupted;         /* the call under way, by base.interrupt */
  bool is_undoing;          /* what must not be interrupted */
  bool has_erased;          /* in the caller's transaction: the log is forgotten when that is committed */
};

/* Opens the file and sets what holds for a connection, without changing the file. */
int convstore__sqlite_connect(struct sqlite_connection *connection, convstore_error *err);

/* Switches the file to write-ahead logging, unless it is that already or cannot be. Waits until the deadline. */
int convstore__sqlite_use_wal(struct sqlite_connection *connection, convstore_error *err);

/* Whether the call under way is to end early. */
bool convstore__sqlite_must_end(struct sqlite_connection *connection);

/* Lets SQLite look at that in the middle of statements, where there is an interrupt to look at. */
void convstore__sqlite_watch_interrupt(struct sqlite_connection *connection);

/* A new call has waited for nothing; what one waited for is noted at its end, where it was long. */
void convstore__sqlite_forget_waits(struct sqlite_connection *connection);
void convstore__sqlite_note_waits(struct sqlite_connection *connection);

/* Finalizes every cached statement: before DDL and before closing. */
void convstore__sqlite_forget_statements(struct sqlite_connection *connection);

/* A cached statement, ready to bind: whoever steps it resets it. NULL: err says why. */
sqlite3_stmt *convstore__sqlite_statement(struct sqlite_connection *connection, int id, convstore_error *err);

/* Steps a statement without rows to its end and resets it. */
int convstore__sqlite_exec(struct sqlite_connection *connection, sqlite3_stmt *statement,
                           convstore_error *err);

/* The same for a statement of the table without parameters. */
int convstore__sqlite_run(struct sqlite_connection *connection, enum sqlite_stmt id, convstore_error *err);

/* The same for one whose parameters are user and conversation. */
int convstore__sqlite_run_for_conversation(struct sqlite_connection *connection,
                                           const struct convstore_call *call, enum sqlite_stmt id);

/* Prepares nothing ahead: runs a text of one or more statements, as migrations and pragmas are. */
int convstore__sqlite_run_script(struct sqlite_connection *connection, const char *sql, convstore_error *err);

/* Turns the connection's last error into a status and a sentence that names the file and what to do. */
int convstore__sqlite_fail(struct sqlite_connection *connection, convstore_error *err);
int convstore__sqlite_no_memory(convstore_error *err);

/* An absent value binds NULL. Texts are bound without a copy: they live until the statement is reset. */
int convstore__sqlite_bind_text(sqlite3_stmt *statement, int index, convstore_text text);
int convstore__sqlite_bind_id(sqlite3_stmt *statement, int index, const char *id);

/* Binds ?1 and ?2, which almost every statement begins with. */
int convstore__sqlite_bind_conversation(sqlite3_stmt *statement, const struct convstore_call *call);

/* Column values. NULL is absent. A text lives in the result's arena. E_MEMORY, E_CORRUPT. */
int convstore__sqlite_read_text(convstore_text *out, sqlite3_stmt *statement, int column,
                                struct convstore_call *call);
int convstore__sqlite_read_id(char out[CONVSTORE_ID_SIZE], sqlite3_stmt *statement, int column,
                              struct convstore_call *call);
int64_t convstore__sqlite_read_optional(sqlite3_stmt *statement, int column);

/*
 * Runs the statement that begins a transaction or, where it is nested, a savepoint, once what undoes it is prepared:
 * that must need no memory when the time comes. A transaction on data then looks whether the schema still is what it
 * was.
 */
int convstore__sqlite_begin(struct sqlite_connection *connection, struct convstore_call *call,
                            enum sqlite_stmt id, bool nested);

/* Undoes a transaction, or, where it is nested, to its savepoint. Never fails: what cannot be undone alone takes the
 * caller's whole transaction with it, and the connection says `lost`. */
void convstore__sqlite_undo(struct sqlite_connection *connection, bool nested);

/* What a write operation does between begin and commit. */
typedef int sqlite_body(struct sqlite_connection *connection, struct convstore_call *call);

/*
 * Runs `body` in a transaction of its own, or in a savepoint where the caller has one open. Any answer of the body but
 * CONVSTORE_OK undoes what it wrote, and is returned.
 */
int convstore__sqlite_write(struct sqlite_connection *connection, struct convstore_call *call,
                            sqlite_body *body);

#endif
