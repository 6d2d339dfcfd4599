/* What is known of a schema: which steps it has, and what was chosen when it was made. */
#ifndef CONVSTORE_POSTGRES_SCHEMA_H
#define CONVSTORE_POSTGRES_SCHEMA_H

#include "../core/render.h"
#include "postgres_pipeline.h"

/* What a schema is made with, or was. */
struct postgres_settings {
  const char *users;     /* as SQL; "" for none */
  const char *jwt_claim; /* "" for none */
  convstore_user_id_type user_id_type;
  bool schema_created; /* the schema itself is ours */
};

/* As the rounds of a call have found it. */
struct postgres_schema_state {
  bool schema_exists;
  bool has_migrations;
  bool has_settings;
  bool readable;  /* by the login itself */
  bool is_member; /* the login, of the role that transactions take on */
  struct convstore_migration_applied *applied;
  size_t n_applied;
  int version;                       /* the highest */
  struct postgres_settings settings; /* where has_settings */
  struct postgres_settings chosen;   /* what a new schema would be made with */
};

/* Queues the look at the catalog; then, in the next round, the tables that it found. receive_state makes
 * connection->schema_state anew. *more: there is something to read in another round. */
void convstore__postgres_queue_state(struct postgres_connection *connection);
int convstore__postgres_receive_state(bool *more, struct postgres_connection *connection,
                                      const PGresult *result, struct convstore_call *call);
void convstore__postgres_queue_tables(struct postgres_connection *connection, struct convstore_call *call);
int convstore__postgres_receive_tables(struct postgres_connection *connection, struct convstore_call *call);

/* Tells the connection and the result what is known. Steps that are not ours give version -1 there, and no error.
 * E_SCHEMA: made with other options; E_MEMORY. */
int convstore__postgres_adopt_state(struct postgres_connection *connection, struct convstore_call *call);

/* The plan of a migration to `target`. */
int convstore__postgres_plan(struct convstore_migration_plan *out,
                             const struct postgres_connection *connection, int64_t target,
                             convstore_error *err);

/* The values of the {{names}} in a migration, for the settings. The list ends with a NULL name. NULL: out of memory. */
#define POSTGRES_SUBSTITUTIONS 9
bool convstore__postgres_substitutions(struct convstore_substitution list[POSTGRES_SUBSTITUTIONS],
                                       const struct postgres_connection *connection,
                                       const struct postgres_settings *settings,
                                       struct convstore_arena *arena);

/* postgres_users.c: the option `users`. Normalized, it is as SQL takes it and as two options are compared. */
int convstore__postgres_normalize_users(char out[CONVSTORE_USERS_SIZE], const char *option,
                                        convstore_error *err);
/* Queues the look at the column that it names, and judges it. */
int convstore__postgres_queue_users(struct postgres_connection *connection, struct convstore_call *call);
int convstore__postgres_receive_users(convstore_user_id_type *out,
                                      const struct postgres_connection *connection, const PGresult *result,
                                      convstore_error *err);

#endif
