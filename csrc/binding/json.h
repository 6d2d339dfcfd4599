/*
 * JSON between Lua values and text. The way out is a walk of our own, since only it sees Lua's tables; the
 * way in goes through core/json.h. It knows what a table may hold, not what a field means.
 */
#ifndef CONVSTORE_BINDING_JSON_H
#define CONVSTORE_BINDING_JSON_H

#include "call.h"

enum json_shape {
  SHAPE_ANY,  /* an array or an object; an empty table is an object unless it is marked */
  SHAPE_ARRAY /* nothing but an array; an empty table is one */
};

/*
 * Replaces the table at the top of the stack by its JSON text: compact, keys in the order of their bytes, so
 * the same value always gives the same text. Strings are neither checked nor changed but for what JSON itself
 * escapes: bad UTF-8 and NUL are the core's to refuse or replace. Raw access alone: no metamethod runs.
 * E_INVALID: what JSON cannot say, or another shape; E_TOO_LARGE: beyond `limit` bytes. The top is then some
 * other value.
 */
int convstore__lua_json_encode(lua_State *L, enum json_shape shape, const char *field, size_t limit,
                               convstore_error *err);

/*
 * Pushes the value of a stored JSON text, or of one that the core wrote: arrays are marked, null is
 * convstore.null. `answer` owns the parsed value meanwhile. E_CORRUPT: no JSON, nothing pushed. Raises when
 * out of memory.
 */
int convstore__lua_json_push(lua_State *L, struct answer *answer, convstore_text text, const char *field,
                             convstore_error *err);

/* Makes the metatable that marks arrays, ARRAY_TYPE in the registry. */
#define ARRAY_TYPE "convstore.array"
void convstore__lua_open_json(lua_State *L);

#endif
