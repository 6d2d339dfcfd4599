/* JSON text to Lua values; see json.h. The parser has limited the depth, so recursion is safe here. */
#include "../core/json.h"

#include "json.h"

static void push_value(lua_State *L, json_t *value, int array_mark);

static void push_array(lua_State *L, json_t *array, int array_mark) {
  size_t n = json_array_size(array);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_value(L, json_array_get(array, i), array_mark);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushvalue(L, array_mark);
  lua_setmetatable(L, -2);
}

static void push_object(lua_State *L, json_t *object, int array_mark) {
  lua_createtable(L, 0, (int)json_object_size(object));
  for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
    lua_pushstring(L, json_object_iter_key(at));
    push_value(L, json_object_iter_value(at), array_mark);
    lua_rawset(L, -3);
  }
}

static void push_value(lua_State *L, json_t *value, int array_mark) {
  luaL_checkstack(L, 4, "JSON value");
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    push_object(L, value, array_mark);
    break;
  case JSON_ARRAY:
    push_array(L, value, array_mark);
    break;
  case JSON_STRING:
    lua_pushlstring(L, json_string_value(value), json_string_length(value));
    break;
  case JSON_INTEGER:
    lua_pushinteger(L, json_integer_value(value));
    break;
  case JSON_REAL:
    lua_pushnumber(L, json_real_value(value));
    break;
  case JSON_TRUE:
  case JSON_FALSE:
    lua_pushboolean(L, json_is_true(value));
    break;
  case JSON_NULL:
    lua_pushlightuserdata(L, NULL);
    break;
  }
}

int convstore__lua_json_push(lua_State *L, struct answer *answer, convstore_text text, const char *field,
                             convstore_error *err) {
  int status = convstore__json_parse_own(&answer->json, text, field, err);
  if (status == CONVSTORE_E_MEMORY) return convstore__lua_fail(L, err);
  if (status != CONVSTORE_OK) {
    return convstore_fail(err, CONVSTORE_E_CORRUPT, "the stored %s is no JSON: restore it from a backup",
                          field);
  }
  luaL_getmetatable(L, ARRAY_TYPE);
  push_value(L, answer->json, lua_gettop(L));
  lua_remove(L, -2);
  json_decref(answer->json);
  answer->json = NULL;
  return CONVSTORE_OK;
}

void convstore__lua_open_json(lua_State *L) {
  luaL_newmetatable(L, ARRAY_TYPE);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__jsontype");
  lua_pop(L, 1);
}
