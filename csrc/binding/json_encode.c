/*
 * Lua tables to JSON text; see json.h.
 *
 * Whatever allocates may run a finalizer, and a finalizer may change the table being walked. So nothing
 * read from a table is trusted to stay there: a key's bytes are used only while the key is anchored, and an
 * array's length only as a hope.
 */
#include "../core/json_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define FEW_KEYS 16

/*
 * The text so far. It starts in `local`, and moves into userdata of doubling size at stack index `box`;
 * luaL_Buffer would not do, since it wants the top of the stack for itself. After the first failure nothing
 * is added any more, so that writers need not look at each step.
 */
struct encoder {
  lua_State *L;
  const char *field;
  convstore_error *err;
  int status;
  int box;
  char *data;
  size_t size;
  size_t capacity;
  size_t limit;
  char local[1024];
};

static void encode_value(struct encoder *e, int depth);

static void refuse(struct encoder *e, const char *why) {
  e->status = convstore_fail(e->err, CONVSTORE_E_INVALID, "%s cannot be JSON: %s", e->field, why);
}

static void refuse_size(struct encoder *e) {
  e->status = convstore_fail(e->err, CONVSTORE_E_TOO_LARGE,
                             "%s is longer than %zu bytes as JSON: shorten it or raise max_content_bytes",
                             e->field, e->limit);
}

/* Makes room for `n` more bytes, which must not go beyond the limit. Raises when out of memory. */
static void grow(struct encoder *e, size_t n) {
  size_t capacity = e->capacity;
  while (capacity - e->size < n) capacity *= 2;
  char *data = lua_newuserdatauv(e->L, capacity, 0);
  memcpy(data, e->data, e->size);
  lua_replace(e->L, e->box);
  e->data = data;
  e->capacity = capacity;
}

static void put(struct encoder *e, const char *bytes, size_t n) {
  if (e->status != CONVSTORE_OK) return;
  if (n > e->limit || e->size > e->limit - n) {
    refuse_size(e);
    return;
  }
  if (n > e->capacity - e->size) grow(e, n);
  memcpy(e->data + e->size, bytes, n);
  e->size += n;
}

static void put_byte(struct encoder *e, char byte) {
  put(e, &byte, 1);
}

/* NUL is no control character here: it goes through as it is, for the core to judge with the other bytes. */
static void put_string(struct encoder *e, const char *data, size_t size) {
  const char *end = data + size;
  put_byte(e, '"');
  while (data < end) {
    char escape[CONVSTORE_JSON_ESCAPE];
    size_t n = convstore__json_plain(data, (size_t)(end - data));
    put(e, data, n);
    data += n;
    if (data < end) put(e, escape, convstore__json_escape(escape, (unsigned char)*data++));
  }
  put_byte(e, '"');
}

static void put_integer(struct encoder *e, lua_Integer value) {
  char digits[24];
  put(e, digits, (size_t)snprintf(digits, sizeof digits, LUA_INTEGER_FMT, value));
}

static void put_float(struct encoder *e, lua_Number value) {
  char text[CONVSTORE_JSON_FLOAT];
  if (isfinite(value)) {
    put(e, text, convstore__json_float(text, value));
  } else {
    refuse(e, isnan(value) ? "it holds NaN" : "it holds an infinite number");
  }
}

static void encode_array(struct encoder *e, lua_Integer n, int depth) {
  put_byte(e, '[');
  for (lua_Integer i = 1; e->status == CONVSTORE_OK && i <= n; i++) {
    if (i > 1) put_byte(e, ',');
    lua_rawgeti(e->L, -1, i);
    encode_value(e, depth);
    lua_pop(e->L, 1);
  }
  put_byte(e, ']');
}

static int compare_keys(const void *a, const void *b) {
  const convstore_text *left = a;
  const convstore_text *right = b;
  size_t n = left->size < right->size ? left->size : right->size;
  int order = memcmp(left->data, right->data, n);
  if (order != 0) return order;
  return (left->size > right->size) - (left->size < right->size);
}

/*
 * Collects the `n` keys of the table at the top of the stack, sorted, in `few` if they fit there, else in new
 * userdata. They are anchored above it on the stack, or where they are many, in a table there: a stack holds
 * a million values.
 */
static convstore_text *sorted_keys(lua_State *L, size_t n, convstore_text few[FEW_KEYS]) {
  int table = lua_gettop(L);
  int anchor = 0;
  size_t i = 0;
  convstore_text *keys = few;
  if (n > FEW_KEYS) {
    keys = lua_newuserdatauv(L, n * sizeof *keys, 0);
    lua_createtable(L, (int)n, 0);
    anchor = lua_gettop(L);
  }
  luaL_checkstack(L, FEW_KEYS + LUA_MINSTACK, "JSON object");
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    if (i == n || lua_type(L, -1) != LUA_TSTRING) {
      luaL_error(L, "a table was changed while it was being encoded");
    }
    keys[i].data = lua_tolstring(L, -1, &keys[i].size);
    i++;
    lua_pushvalue(L, -1);
    if (anchor != 0) {
      lua_rawseti(L, anchor, (lua_Integer)i);
    }
  }
  if (i < n) luaL_error(L, "a table was changed while it was being encoded");
  qsort(keys, n, sizeof *keys, compare_keys);
  return keys;
}

static void encode_object(struct encoder *e, size_t n, int depth) {
  lua_State *L = e->L;
  int table = lua_gettop(L);
  convstore_text few[FEW_KEYS];
  const convstore_text *keys = sorted_keys(L, n, few);
  put_byte(e, '{');
  for (size_t i = 0; e->status == CONVSTORE_OK && i < n; i++) {
    if (i > 0) put_byte(e, ',');
    put_string(e, keys[i].data, keys[i].size);
    put_byte(e, ':');
    lua_pushlstring(L, keys[i].data, keys[i].size);
    lua_rawget(L, table);
    encode_value(e, depth);
    lua_pop(L, 1);
  }
  put_byte(e, '}');
  lua_settop(L, table);
}

/*
 * Whether the table at the top is marked as an array, by this library or by another that uses the same mark.
 */
static bool is_marked(lua_State *L) {
  bool marked = false;
  if (luaL_getmetafield(L, -1, "__jsontype") != LUA_TNIL) {
    size_t size;
    const char *mark = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
    marked = mark != NULL && size == 5 && memcmp(mark, "array", 5) == 0;
    lua_pop(L, 1);
  }
  return marked;
}

/* Counts the keys of the table at the top, and sees that they are those of an array or of an object. */
static void survey(struct encoder *e, size_t *n_strings, size_t *n_integers) {
  lua_State *L = e->L;
  lua_Integer highest = 0;
  *n_strings = 0;
  *n_integers = 0;
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      ++*n_strings;
    } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1) {
      ++*n_integers;
      if (lua_tointeger(L, -1) > highest) highest = lua_tointeger(L, -1);
    } else {
      lua_pop(L, 1);
      refuse(e, "a table in it has a key that is neither a string nor a place in an array");
      return;
    }
  }
  if (*n_strings > 0 && *n_integers > 0) {
    refuse(e, "a table in it has both string keys and array items");
  } else if ((size_t)highest != *n_integers) {
    refuse(e, "an array in it has gaps");
  }
}

/* The table at the top, the depth-th one on the way in. */
static void encode_table(struct encoder *e, bool must_be_array, int depth) {
  size_t n_strings;
  size_t n_integers;
  if (depth > CONVSTORE_MAX_JSON_DEPTH) {
    refuse(e, "it has a cycle or more than 64 levels");
    return;
  }
  luaL_checkstack(e->L, LUA_MINSTACK, "JSON value");
  survey(e, &n_strings, &n_integers);
  if (e->status != CONVSTORE_OK) return;

  if (n_strings > e->limit || n_integers > e->limit) {
    refuse_size(e); /* before the keys are collected: each takes more than a byte */
  } else if (n_strings > 0 && must_be_array) {
    e->status = convstore_fail(e->err, CONVSTORE_E_INVALID, "%s must be an array, not an object", e->field);
  } else if (n_strings > 0 && is_marked(e->L)) {
    refuse(e, "a table in it is marked as an array and has string keys");
  } else if (n_integers > 0 || must_be_array || is_marked(e->L)) {
    encode_array(e, (lua_Integer)n_integers, depth);
  } else {
    encode_object(e, n_strings, depth);
  }
}

/* The value at the top, which stays there; `depth` tables are around it. */
static void encode_value(struct encoder *e, int depth) {
  lua_State *L = e->L;
  size_t size;
  const char *data;
  char why[64];
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, -1)) {
      put(e, "true", 4);
    } else {
      put(e, "false", 5);
    }
    return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, -1)) {
      put_integer(e, lua_tointeger(L, -1));
    } else {
      put_float(e, lua_tonumber(L, -1));
    }
    return;
  case LUA_TSTRING:
    data = lua_tolstring(L, -1, &size);
    put_string(e, data, size);
    return;
  case LUA_TTABLE:
    encode_table(e, false, depth + 1);
    return;
  default:
    break;
  }
  if (lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == NULL) {
    put(e, "null", 4);
    return;
  }
  (void)snprintf(why, sizeof why, "it holds a %s", luaL_typename(L, -1));
  refuse(e, why);
}

int convstore__lua_json_encode(lua_State *L, enum json_shape shape, const char *field, size_t limit,
                               convstore_error *err) {
  struct encoder e;
  e.L = L;
  e.field = field;
  e.err = err;
  e.status = CONVSTORE_OK;
  e.data = e.local;
  e.size = 0;
  e.capacity = sizeof e.local;
  e.limit = limit;
  lua_pushnil(L);
  lua_insert(L, -2);
  e.box = lua_gettop(L) - 1;
  encode_table(&e, shape == SHAPE_ARRAY, 1);
  if (e.status == CONVSTORE_OK) {
    lua_pushlstring(L, e.data, e.size);
    lua_replace(L, e.box);
  }
  lua_settop(L, e.box);
  return e.status;
}
