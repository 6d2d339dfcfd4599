/* See arguments.h. */
#include "arguments.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "json.h"

convstore_text convstore__lua_text(lua_State *L, int index) {
  convstore_text text;
  text.data = lua_tolstring(L, index, &text.size);
  return text;
}

bool convstore__lua_same(convstore_text text, const char *literal) {
  return text.size == strlen(literal) && memcmp(text.data, literal, text.size) == 0;
}

bool convstore__lua_is_null(lua_State *L, int index) {
  return lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
}

bool convstore__lua_integer(lua_State *L, int index, int64_t *out) {
  static const lua_Number exact = 9007199254740992.0; /* 2^53: above, a float may stand for its neighbour */
  lua_Number number;
  if (lua_isinteger(L, index)) {
    *out = lua_tointeger(L, index);
    return true;
  }
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  number = lua_tonumber(L, index);
  if (!(fabs(number) < exact) || floor(number) != number) return false;
  *out = (int64_t)number;
  return true;
}

static int64_t present(int64_t integer) {
  return integer == CONVSTORE_ABSENT ? CONVSTORE_ABSENT + 1 : integer;
}

int64_t convstore__lua_check_integer(lua_State *L, int arg) {
  int64_t integer = 0;
  if (!convstore__lua_integer(L, arg, &integer)) luaL_typeerror(L, arg, "integer");
  return present(integer);
}

convstore_text convstore__lua_check_text(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TSTRING) luaL_typeerror(L, arg, "string");
  return convstore__lua_text(L, arg);
}

convstore_error *convstore__lua_report(struct arguments *args) {
  return args->err.status == CONVSTORE_OK ? &args->err : NULL;
}

/* "message 3, " where the table is one of an array. */
static const char *push_place(struct arguments *args) {
  return args->item > 0 ? lua_pushfstring(args->L, "message %d, ", args->item) : lua_pushliteral(args->L, "");
}

void convstore__lua_type_error(struct arguments *args, const struct field *field, const char *expected) {
  lua_State *L = args->L;
  const char *got = luaL_typename(L, -1);
  if (lua_islightuserdata(L, -1)) {
    got = convstore__lua_is_null(L, -1) ? "null" : "light userdata";
  } else if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) {
    got = lua_tostring(L, -1);
  }
  luaL_argerror(L, args->arg,
                lua_pushfstring(L, "%s%s \"%s\": %s expected, got %s", push_place(args), args->noun,
                                field->name, expected, got));
}

const char *convstore__lua_show(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
  case LUA_TNUMBER:
    lua_pushvalue(L, index); /* since lua_tostring changes a number in its place */
    return lua_tostring(L, -1);
  case LUA_TBOOLEAN:
    return lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
  default:
    return lua_pushstring(L, luaL_typename(L, index));
  }
}

static void unknown_key(struct arguments *args, int key) {
  lua_State *L = args->L;
  luaL_argerror(
      L, args->arg,
      lua_pushfstring(L, "%sunknown %s \"%s\"", push_place(args), args->noun, convstore__lua_show(L, key)));
}

static const struct field *find_field(const struct field *fields, lua_State *L, int key) {
  size_t size;
  const char *name;
  if (lua_type(L, key) != LUA_TSTRING)
    return NULL; /* lua_tolstring would turn a number into a string in place */
  name = lua_tolstring(L, key, &size);
  for (; fields->name != NULL; fields++) {
    if (fields->n_name == size && memcmp(fields->name, name, size) == 0) return fields;
  }
  return NULL;
}

void convstore__lua_read(struct arguments *args, int index, const struct field *fields, void *target) {
  lua_State *L = args->L;
  int table = lua_absindex(L, index);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    const struct field *field = find_field(fields, L, -2);
    if (field == NULL) {
      unknown_key(args, lua_absindex(L, -2));
      return;
    }
    if (args->null_is_absent && convstore__lua_is_null(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    field->take(args, field, (char *)target + field->offset);
    if (lua_type(L, -1) == LUA_TSTRING) {
      lua_insert(L, -2); /* below the key, where it stays */
    } else {
      lua_pop(L, 1);
    }
  }
}

void convstore__lua_read_optional(struct arguments *args, const struct field *fields, void *target) {
  if (lua_isnoneornil(args->L, args->arg)) return;
  luaL_checktype(args->L, args->arg, LUA_TTABLE);
  convstore__lua_read(args, args->arg, fields, target);
}

/* The string at the top. */
static convstore_text check_string(struct arguments *args, const struct field *field) {
  if (lua_type(args->L, -1) != LUA_TSTRING) convstore__lua_type_error(args, field, "string");
  return convstore__lua_text(args->L, -1);
}

void convstore__lua_take_text(struct arguments *args, const struct field *field, void *slot) {
  *(convstore_text *)slot = check_string(args, field);
}

void convstore__lua_take_integer(struct arguments *args, const struct field *field, void *slot) {
  int64_t integer = 0;
  if (!convstore__lua_integer(args->L, -1, &integer)) convstore__lua_type_error(args, field, "integer");
  *(int64_t *)slot = present(integer);
}

void convstore__lua_take_boolean(struct arguments *args, const struct field *field, void *slot) {
  if (!lua_isboolean(args->L, -1)) convstore__lua_type_error(args, field, "boolean");
  *(bool *)slot = lua_toboolean(args->L, -1) != 0;
}

void convstore__lua_take_id(struct arguments *args, const struct field *field, void *slot) {
  convstore_id_set(slot, check_string(args, field), field->name, convstore__lua_report(args));
}

void convstore__lua_take_mark(struct arguments *args, const struct field *field, void *slot) {
  if (convstore__lua_is_null(args->L, -1)) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID,
                   "%s cannot be cleared: set it to \"active\" instead", field->name);
  } else {
    convstore_mark_parse(slot, check_string(args, field), convstore__lua_report(args));
  }
}

void convstore__lua_take_json(struct arguments *args, const struct field *field, void *slot) {
  if (convstore__lua_is_null(args->L, -1)) return;
  if (!lua_istable(args->L, -1)) convstore__lua_type_error(args, field, "table");
  if (convstore__lua_json_encode(args->L, SHAPE_ANY, field->name, args->max_json,
                                 convstore__lua_report(args)) == CONVSTORE_OK) {
    *(convstore_text *)slot = convstore__lua_text(args->L, -1);
  }
}

/* The name of a role at the top, as its bit. */
static void add_role(struct arguments *args, unsigned *roles) {
  convstore_role role;
  if (convstore_role_parse(&role, convstore__lua_text(args->L, -1), convstore__lua_report(args)) ==
      CONVSTORE_OK) {
    *roles |= 1u << role;
  }
}

void convstore__lua_take_roles(struct arguments *args, const struct field *field, void *slot) {
  lua_State *L = args->L;
  if (lua_type(L, -1) == LUA_TSTRING) {
    add_role(args, slot);
    return;
  }
  if (!lua_istable(L, -1)) convstore__lua_type_error(args, field, "string or array of strings");
  if (lua_rawlen(L, -1) == 0) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s names no role", field->name);
  }
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (!lua_isinteger(L, -2) || lua_type(L, -1) != LUA_TSTRING) {
      lua_pop(L, 2);
      convstore__lua_type_error(args, field, "string or array of strings");
    }
    add_role(args, slot);
    lua_pop(L, 1);
  }
}
