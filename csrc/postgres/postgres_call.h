/* The way of a call: connecting, rounds, retries, undoing. Knows operations only as the table in the connection. */
#ifndef CONVSTORE_POSTGRES_CALL_H
#define CONVSTORE_POSTGRES_CALL_H

#include "postgres_connection.h"

/* As struct convstore_backend says. */
int convstore__postgres_call_start(struct postgres_connection *connection, struct convstore_call *call,
                                   const struct postgres_operation *operation);
int convstore__postgres_call_resume(struct postgres_connection *connection, struct convstore_call *call);
int convstore__postgres_call_interrupt(struct postgres_connection *connection, struct convstore_call *call);
void convstore__postgres_call_cancel(struct postgres_connection *connection, struct convstore_call *call);

#endif
