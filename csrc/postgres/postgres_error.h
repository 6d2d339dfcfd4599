/* What PostgreSQL's SQLSTATEs mean in convstore's words. Knows codes and sentences, no connections. */
#ifndef CONVSTORE_POSTGRES_ERROR_H
#define CONVSTORE_POSTGRES_ERROR_H

#include "postgres_connection.h"

/* What to do about an error that a statement gave. */
enum postgres_remedy {
  POSTGRES_FINAL,      /* tell the caller */
  POSTGRES_SAME,       /* undo, then the same once more: a deadlock, a serialization failure */
  POSTGRES_UNNAMED,    /* undo, then the same without prepared statements */
  POSTGRES_RECONNECT,  /* this server or this connection is done for; another may be there soon */
  POSTGRES_CONSTRAINT, /* the operation may know why */
};

enum postgres_remedy convstore__postgres_remedy(const char *sqlstate);

/* Fills err from a failed result, whose primary message becomes part of the sentence. Returns the status. */
int convstore__postgres_fail(const PGresult *result, const struct postgres_connection *connection,
                             convstore_error *err);

/* The same for a connection that did not come about: `sqlstate` as the server gave it, or "" where there was none.
 * POSTGRES_LOST: waiting may help, and err is not touched. */
int convstore__postgres_fail_connect(const struct postgres_connection *connection, const char *sqlstate,
                                     const char *reason, convstore_error *err);

int convstore__postgres_no_memory(convstore_error *err);

#endif
