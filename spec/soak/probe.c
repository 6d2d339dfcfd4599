/*
 * What the soak run cannot see from Lua: the heap that is in use, and the statements of each SQLite connection of this
 * process, by sqlite3_next_stmt. It also plants leaks, so that a spec sees the run find them.
 *
 * One decision shaped it: SQLite itself tells of connections. An automatic extension is called for each one that opens;
 * it registers an SQL function whose destructor is called when the connection is really gone. So a connection that a
 * forgotten statement keeps alive behind sqlite3_close_v2() stays in the list.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <sqlite3.h>

#define MAX_CONNECTIONS 64

__attribute__((visibility("default"))) int luaopen_soak_probe(lua_State *L);

static sqlite3 *connections[MAX_CONNECTIONS];

static void forget(void *slot) {
  *(sqlite3 **)slot = NULL;
}

static void unused(sqlite3_context *context, int n, sqlite3_value **values) {
  (void)n;
  (void)values;
  sqlite3_result_null(context);
}

static int remember(sqlite3 *db, const char **message, const void *api) {
  (void)message;
  (void)api;
  for (int i = 0; i < MAX_CONNECTIONS; i++) {
    if (connections[i] != NULL) continue;
    connections[i] = db;
    return sqlite3_create_function_v2(db, "soak_probe", 0, SQLITE_UTF8, &connections[i], unused, NULL, NULL,
                                      forget);
  }
  return SQLITE_FULL; /* so many open connections are a leak: opening fails */
}

/* Watches every SQLite connection that opens from now on. */
static int l_watch(lua_State *L) {
  /* The type that the documentation of sqlite3_auto_extension() asks for. */
  if (sqlite3_auto_extension((void (*)(void))remember) != SQLITE_OK)
    return luaL_error(L, "SQLite cannot be watched");
  return 0;
}

/* -> bytes of the heap in use, of which bytes are SQLite's page caches. */
static int l_memory(lua_State *L) {
  struct mallinfo2 heap = mallinfo2();
  lua_Integer caches = 0;
  for (int i = 0; i < MAX_CONNECTIONS; i++) {
    int used = 0, highest = 0;
    if (connections[i] == NULL) continue;
    if (sqlite3_db_status(connections[i], SQLITE_DBSTATUS_CACHE_USED, &used, &highest, 0) == SQLITE_OK)
      caches += used;
  }
  lua_pushinteger(L, (lua_Integer)heap.uordblks + (lua_Integer)heap.hblkhd);
  lua_pushinteger(L, caches);
  return 2;
}

/* -> for each open connection of SQLite the texts of its statements. */
static int l_statements(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; i < MAX_CONNECTIONS; i++) {
    if (connections[i] == NULL) continue;
    lua_newtable(L);
    for (sqlite3_stmt *statement = NULL;
         (statement = sqlite3_next_stmt(connections[i], statement)) != NULL;) {
      lua_pushstring(L, sqlite3_sql(statement));
      lua_rawseti(L, -2, luaL_len(L, -2) + 1);
    }
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
  return 1;
}

/* plant_memory(n): n bytes that nobody frees. */
static int l_plant_memory(lua_State *L) {
  static volatile char *last; /* keeps the compiler from leaving the allocation out */
  size_t n = (size_t)luaL_checkinteger(L, 1);
  last = malloc(n);
  if (last == NULL) return luaL_error(L, "out of memory");
  for (size_t i = 0; i < n; i += 4096) last[i] = 1;
  return 0;
}

/* A statement more on the first connection, which nobody finalizes. */
static int l_plant_statement(lua_State *L) {
  static sqlite3_stmt *planted;
  for (int i = 0; i < MAX_CONNECTIONS; i++) {
    if (connections[i] == NULL) continue;
    if (sqlite3_prepare_v2(connections[i], "SELECT 'planted'", -1, &planted, NULL) == SQLITE_OK) return 0;
  }
  return luaL_error(L, "no statement could be prepared");
}

int luaopen_soak_probe(lua_State *L) {
  static const luaL_Reg functions[] = {{"memory", l_memory},
                                       {"plant_memory", l_plant_memory},
                                       {"plant_statement", l_plant_statement},
                                       {"statements", l_statements},
                                       {"watch", l_watch},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
