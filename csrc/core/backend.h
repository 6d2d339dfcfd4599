/*
 * The seam between the core and the databases: what a backend must do.
 *
 * A backend knows one database and nothing of Lua. It receives requests that core/request.c has validated and
 * completed (ids, times and token counts are there), and answers each of them once. It is called only by core/store.c.
 *
 * The decision that shaped it: a request goes down whole, so a database across a network can answer in one round trip,
 * and a call can be stepped, because a backend never waits on a socket itself: it says what it wants.
 */
#ifndef CONVSTORE_CORE_BACKEND_H
#define CONVSTORE_CORE_BACKEND_H

#include "../convstore.h"
#include "events.h"
#include "migrate.h"

/** Returned by start and resume, beside the statuses: not done, wait as call->want says, then resume. */
#define CONVSTORE_PENDING 1

/** OPEN is asked by convstore_open alone: connect, learn the schema's state, migrate as the options say. */
#define CONVSTORE_OPEN 0

/** How user ids are typed in this schema; the core checks each id against it. */
typedef enum convstore_user_id_type {
  CONVSTORE_USER_ID_TEXT = 0,
  CONVSTORE_USER_ID_UUID,
  CONVSTORE_USER_ID_BIGINT
} convstore_user_id_type;

/* One call on its way. Made by core/store.c; the backend reads the inputs and fills the rest. */
struct convstore_call {
  convstore_request *request; /* borrowed; validated */
  convstore_result *result;   /* out: allocate from convstore__arena(result) */
  convstore_error *err;       /* never NULL */
  int64_t now_ms;             /* wall clock at the start: what created_at and updated_at become */
  int64_t deadline_ms; /* monotonic clock (convstore__monotonic_ms): the call must have ended by then */
  bool id_is_new;      /* request->conversation.id was made just now: nothing stored can have it */
  int depth;           /* transactions open around this call; 0: the call is a transaction of its own */
  bool interrupted;    /* it is to end: its deadline is near, and nothing of it is begun any more */
  struct {             /* out, with CONVSTORE_PENDING */
    int fd;
    short events;     /* POLLIN, POLLOUT or both */
    int64_t until_ms; /* monotonic: resume by then even if nothing happened */
  } want;
};

/* A backend's connection begins with this; the core reads it after every call. */
struct convstore_connection {
  const struct convstore_backend *backend;
  int schema_version; /* as last seen; -1: our tables without our list of migrations, or an edited one */
  convstore_user_id_type user_id_type;
  convstore_events *events; /* where to note what happens: see core/events.h; NULL: nobody asks */
  const convstore_interrupt
      *interrupt; /* what a backend that blocks looks at where it waits; NULL: nothing */
  /* The transaction around this call is gone (disk full, connection lost): only rolling back is left. */
  bool lost;
};

struct convstore_backend {
  const char *name;
  /* start never answers CONVSTORE_PENDING but blocks until the deadline: an event loop runs it on another thread. */
  bool blocks;
  const struct convstore_migration_step *steps; /* ascending, n_steps of them */
  size_t n_steps;

  /*
   * Makes a connection object without any I/O. `location` is the DSN without the scheme; it and `options` are copied.
   * On failure nothing is left behind. E_INVALID, E_UNSUPPORTED, E_MEMORY.
   */
  int (*create)(struct convstore_connection **out, const char *location, const convstore_options *options,
                convstore_error *err);

  /*
   * Begins a call and goes as far as it can without waiting. CONVSTORE_OK: done, the result is filled.
   * CONVSTORE_PENDING: see call->want. Negative: failed, call->err says why, and nothing of the call is written: with
   * depth 0 its own transaction is rolled back, with depth > 0 it is undone to the savepoint that it took itself and
   * the caller's transaction stays usable, unless connection->lost was set.
   */
  int (*start)(struct convstore_connection *connection, struct convstore_call *call);

  /* Goes on with a pending call; answers as start does. NULL in a backend that blocks. */
  int (*resume)(struct convstore_connection *connection, struct convstore_call *call);

  /* Goes on with a pending call whose `interrupted` has just been set, so that it ends: with nothing of it written, or,
   * where it was just committed, done. Answers as start does. NULL in a backend that blocks. */
  int (*interrupt)(struct convstore_connection *connection, struct convstore_call *call);

  /* Gives up a pending call, whose outcome is then unknown. NULL in a backend that blocks. */
  void (*cancel)(struct convstore_connection *connection, struct convstore_call *call);

  /* Closes and frees, rolling back what is open. Never fails. */
  void (*close)(struct convstore_connection *connection);
};

extern const struct convstore_backend convstore__sqlite;
extern const struct convstore_backend convstore__postgres;

/*
 * The backend for a DSN, and in *location the rest of it. E_UNSUPPORTED: another scheme; E_INVALID: an empty DSN.
 */
int convstore__backend_for(const struct convstore_backend **out, const char **location, const char *dsn,
                           convstore_error *err);

#endif
