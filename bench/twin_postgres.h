/*
 * What the parts of the PostgreSQL twin share: twin_postgres.c connects, appends and reads histories,
 * twin_postgres_queries.c does the queries.
 */
#ifndef CONVSTORE_BENCH_TWIN_POSTGRES_H
#define CONVSTORE_BENCH_TWIN_POSTGRES_H

#include <lauxlib.h>
#include <libpq-fe.h>
#include <lua.h>
#include <stdbool.h>

#include "../csrc/core/render.h"
#include "../csrc/postgres/postgres_statements.h"
#include "../csrc/postgres/postgres_values.h"

#define TWIN "twin_postgres"

struct twin {
  PGconn *db;
  PGresult *result;        /* the last, owned */
  convstore_result memory; /* owns the texts */
  const char *copy;
  convstore_text user_id; /* kept by the userdata, as is the next */
  const char *conversation_id;
  bool pipelined;
};

/* $1 user, $2 conversation */
void twin__add_conversation(struct postgres_params *params, const struct twin *twin);

/* Runs a statement of the table in a transaction as the user: its rows are in twin->result. */
void twin__run(lua_State *L, struct twin *twin, int id, const struct postgres_params *params);

/* twin:context(max_tokens), twin:list(limit) */
int twin__context(lua_State *L);
int twin__list(lua_State *L);

#endif
