/*
 * One pipeline: statements that travel together and are answered together. Knows libpq's pipeline mode, no operations.
 * Only non-blocking calls are made; who has to wait is told for what.
 */
#ifndef CONVSTORE_POSTGRES_PIPELINE_H
#define CONVSTORE_POSTGRES_PIPELINE_H

#include "postgres_values.h"

/* Begins a new pipeline, and frees what is left of the one before. */
void convstore__postgres_pipeline_clear(struct postgres_connection *connection);

/* Queues a statement of the table, for the operation. Failures show in convstore__postgres_pipeline_step(). */
void convstore__postgres_queue(struct postgres_connection *connection, enum postgres_stmt id,
                               const struct postgres_params *params);
/* Queues a text that is run once, for the operation; params may be NULL. */
void convstore__postgres_queue_text(struct postgres_connection *connection, const char *sql,
                                    const struct postgres_params *params);
/* The same for what surrounds an operation: their results are not counted by
 * convstore__postgres_result(). A text is never a
 * prepared statement: in a caller's transaction one that the server does not know would undo all of it. */
void convstore__postgres_queue_frame(struct postgres_connection *connection, enum postgres_stmt id,
                                     const struct postgres_params *params);
void convstore__postgres_queue_frame_text(struct postgres_connection *connection, const char *sql);

/* Ends the pipeline. */
void convstore__postgres_pipeline_end(struct postgres_connection *connection);

/* Sends and reads as far as that goes without waiting. CONVSTORE_OK: all is answered, see pipeline.error;
 * CONVSTORE_PENDING: see call->want; POSTGRES_LOST; E_MEMORY: the connection is of no use any more. */
int convstore__postgres_pipeline_step(struct postgres_connection *connection, struct convstore_call *call);

/* The result of the k-th statement that the operation queued, borrowed until the next round. */
const PGresult *convstore__postgres_result(const struct postgres_connection *connection, size_t k);

/* A new connection has no prepared statements. */
void convstore__postgres_forget_prepared(struct postgres_connection *connection);

/* Drops the statements' texts: they depend on the type of user ids. */
void convstore__postgres_forget_texts(struct postgres_connection *connection);

/* A name or a string as SQL takes it, from the arena. NULL: out of memory. */
const char *convstore__postgres_quote_name(struct convstore_arena *arena, const char *name);
const char *convstore__postgres_quote_text(struct convstore_arena *arena, const char *text);

/* "text", "uuid", "bigint". */
const char *convstore__postgres_user_id_type_name(convstore_user_id_type type);

#endif
