/* See tokens.h. */
#include "tokens.h"

#include "arguments.h"

int64_t convstore__lua_count_tokens(lua_State *L) {
  int64_t count = 0;
  lua_getiuservalue(L, 1, CHILD_STORE);
  lua_getiuservalue(L, -1, STORE_COUNT_TOKENS);
  lua_rotate(L, -3, 2); /* store, function, message */
  lua_call(L, 1, 1);
  if (!convstore__lua_integer(L, -1, &count) || count < 0 || count > INT32_MAX) {
    luaL_error(L, "count_tokens must return an integer of 0 to 2147483647, it returned %s",
               convstore__lua_show(L, -1));
  }
  lua_pop(L, 2);
  return count;
}
