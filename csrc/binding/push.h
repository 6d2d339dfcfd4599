/* Results as plain Lua tables. It knows the shapes that the contract names, and no operation. */
#ifndef CONVSTORE_BINDING_PUSH_H
#define CONVSTORE_BINDING_PUSH_H

#include "call.h"

/*
 * Pushes an array of the answer's messages, or with `single` the first of them alone, and finishes the answer
 * at index `answer`. `conversation_id` is theirs. Returns 1, or what convstore__lua_fail returned where
 * stored JSON is corrupt.
 */
int convstore__lua_push_messages(lua_State *L, int answer, const char *conversation_id);
int convstore__lua_push_message(lua_State *L, int answer, const char *conversation_id);

/*
 * Pushes an array, marked as one, of the answer's messages with the fields that an API takes; below it lies what they
 * shared. E_CORRUPT: stored JSON that is none.
 */
int convstore__lua_push_context(lua_State *L, struct answer *answer, convstore_error *err);

#endif
