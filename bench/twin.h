/*
 * What the parts of the SQLite twin share: twin.c opens, appends and reads histories, twin_queries.c does the queries,
 * twin_sql.c runs SQL that a benchmark writes down itself.
 */
#ifndef CONVSTORE_BENCH_TWIN_H
#define CONVSTORE_BENCH_TWIN_H

#include <lauxlib.h>
#include <lua.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define TWIN "twin"

struct twin {
  sqlite3 *db;
  sqlite3_stmt *begin, *commit, *live, *advance, *mark_pending, *insert, *newest;
  sqlite3_stmt *summary, *pinned, *window, *list;
  bool searchable; /* the file has what searches need, as shipped */
};

/* Raises what SQLite says. */
int twin__fail(lua_State *L, const struct twin *twin);

/* A field of the table at the top, from a column, where that is not NULL. */
void twin__set_text(lua_State *L, sqlite3_stmt *row, int column, const char *name);
void twin__set_integer(lua_State *L, sqlite3_stmt *row, int column, const char *name);

/* twin:context(max_tokens), twin:list(limit) */
int twin__context(lua_State *L);
int twin__list(lua_State *L);

/* twin.sql(path): a connection of another kind, for SQL of the benchmark's own. */
int twin__sql(lua_State *L);
void twin__sql_register(lua_State *L);

#endif
