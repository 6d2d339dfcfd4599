/*
 * The module convstore.core, which lua/convstore/init.lua completes: nobody else requires it. This folder is
 * the only place that includes <lua.h>; it knows no SQL and no database.
 *
 * Caveat: a store, with everything that comes from it, belongs to one Lua state.
 */
#include "arguments.h"
#include "call.h"
#include "json.h"
#include "log.h"
#include "terminal.h"

CONVSTORE_API int luaopen_convstore_core(lua_State *L);

/* uuid() -> a new UUIDv7; nil, message, code. */
static int l_uuid(lua_State *L) {
  char id[CONVSTORE_ID_SIZE];
  convstore_error err;
  if (convstore_uuid(id, &err) != CONVSTORE_OK) return convstore__lua_fail(L, &err);
  lua_pushstring(L, id);
  return 1;
}

/* iso8601(ms) -> "2026-01-31T23:59:59.123Z"; nil, message, code outside the years 0000 to 9999. */
static int l_iso8601(lua_State *L) {
  char text[CONVSTORE_TIME_SIZE];
  convstore_error err;
  if (convstore_iso8601(text, convstore__lua_check_integer(L, 1), &err) != CONVSTORE_OK) {
    return convstore__lua_fail(L, &err);
  }
  lua_pushstring(L, text);
  return 1;
}

/* array(t) -> t, marked as a JSON array. */
static int l_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_setmetatable(L, ARRAY_TYPE);
  return 1;
}

/* Gives the handles the methods that stand in other files. */
static void add_methods(lua_State *L) {
  lua_getfield(L, -1, "store");
  luaL_setfuncs(L, convstore__lua_retention_methods, 0);
  luaL_setfuncs(L, convstore__lua_operator_methods, 0);
  lua_pop(L, 1);
  lua_getfield(L, -1, "conversation");
  luaL_setfuncs(L, convstore__lua_message_methods, 0);
  luaL_setfuncs(L, convstore__lua_history_methods, 0);
  luaL_setfuncs(L, convstore__lua_fork_methods, 0);
  luaL_setfuncs(L, convstore__lua_context_methods, 0);
  lua_pop(L, 1);
  lua_getfield(L, -1, "user");
  luaL_setfuncs(L, convstore__lua_list_methods, 0);
  luaL_setfuncs(L, convstore__lua_search_methods, 0);
  luaL_setfuncs(L, convstore__lua_erase_methods, 0);
  lua_pop(L, 1);
}

int luaopen_convstore_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"array", l_array},
                                       {"iso8601", l_iso8601},
                                       {"open", convstore__lua_open},
                                       {"uuid", l_uuid},
                                       {NULL, NULL}};
  luaL_checkversion(L);
  luaL_newlib(L, functions);
  luaL_setfuncs(L, convstore__lua_terminal_functions, 0);
  lua_pushliteral(L, "convstore " CONVSTORE_VERSION);
  lua_setfield(L, -2, "_VERSION");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  convstore__lua_open_call(L);
  convstore__lua_open_log(L);
  convstore__lua_open_json(L);
  convstore__lua_open_store(L);
  convstore__lua_open_transaction(L);
  convstore__lua_open_user(L);
  convstore__lua_open_conversation(L);
  add_methods(L);
  return 1;
}
