/*
 * SQL that a benchmark writes down itself, prepared and stepped with little in between: for designs that convstore does
 * not have.
 */
#include <string.h>

#include "twin.h"

#define SQL "twin.sql"

enum {
  MOST_STATEMENTS = 16
};

struct sql {
  sqlite3 *db;
  sqlite3_stmt *statements[MOST_STATEMENTS]; /* ours: FTS5 has more on the connection */
  int n;
};

static struct sql *check(lua_State *L) {
  struct sql *sql = luaL_checkudata(L, 1, SQL);
  luaL_argcheck(L, sql->db != NULL, 1, "closed");
  return sql;
}

static int fail(lua_State *L, const struct sql *sql) {
  return luaL_error(L, "twin: %s", sqlite3_errmsg(sql->db));
}

int twin__sql(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct sql *sql = lua_newuserdatauv(L, sizeof *sql, 0);
  memset(sql, 0, sizeof *sql);
  luaL_setmetatable(L, SQL);
  if (sqlite3_open_v2(path, &sql->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
      sqlite3_exec(sql->db,
                   "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL;", NULL,
                   NULL, NULL) != SQLITE_OK)
    return fail(L, sql);
  return 1;
}

static int sql_close(lua_State *L) {
  struct sql *sql = luaL_checkudata(L, 1, SQL);
  for (int i = 0; i < sql->n; i++) (void)sqlite3_finalize(sql->statements[i]);
  (void)sqlite3_close(sql->db);
  memset(sql, 0, sizeof *sql);
  return 0;
}

/* db:exec(sql) */
static int sql_exec(lua_State *L) {
  const struct sql *sql = check(L);
  return sqlite3_exec(sql->db, luaL_checkstring(L, 2), NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(L, sql);
}

/* The statement with this text, prepared when it first comes. */
static sqlite3_stmt *find(lua_State *L, struct sql *sql, const char *text) {
  for (int i = 0; i < sql->n; i++)
    if (strcmp(sqlite3_sql(sql->statements[i]), text) == 0) return sql->statements[i];
  if (sql->n == MOST_STATEMENTS) (void)luaL_error(L, "twin: too many statements");
  if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &sql->statements[sql->n], NULL) !=
      SQLITE_OK)
    (void)fail(L, sql);
  return sql->statements[sql->n++];
}

/* db:query(sql, text ...): how many rows, and the first one's first column. All columns are read. */
static int sql_query(lua_State *L) {
  struct sql *sql = check(L);
  sqlite3_stmt *statement = find(L, sql, luaL_checkstring(L, 2));
  lua_Integer n = 0;
  int n_params = lua_gettop(L) - 2;
  for (int i = 1; i <= n_params; i++) {
    size_t size;
    const char *text = luaL_checklstring(L, i + 2, &size);
    (void)sqlite3_bind_text64(statement, i, text, size, SQLITE_STATIC, SQLITE_UTF8);
  }
  lua_pushnil(L);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) (void)sqlite3_column_text(statement, i);
    if (n++ > 0) continue;
    (void)lua_pushstring(L, (const char *)sqlite3_column_text(statement, 0));
    lua_replace(L, -2);
  }
  if (sqlite3_reset(statement) != SQLITE_OK) return fail(L, sql);
  (void)sqlite3_clear_bindings(statement);
  lua_pushinteger(L, n);
  lua_insert(L, -2);
  return 2;
}

void twin__sql_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"exec", sql_exec}, {"query", sql_query}, {"close", sql_close}, {"__gc", sql_close}, {NULL, NULL}};
  (void)luaL_newmetatable(L, SQL);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
