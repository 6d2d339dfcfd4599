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
 * Pushes a page, and finishes the answer at index `answer`: an array of its messages, each with the conversation that
 * it is from, or of its listed conversations, all `user_id`'s; and the cursor of the next page, or nil. Returns 2, or
 * what convstore__lua_fail returned where stored JSON is corrupt.
 */
int convstore__lua_push_messages_page(lua_State *L, int answer);
int convstore__lua_push_listed_page(lua_State *L, int answer, convstore_text user_id);

/* The same for what a search has found. */
int convstore__lua_push_hits_page(lua_State *L, int answer);

/* Pushes a summary, and finishes the answer. Returns as the first two. */
int convstore__lua_push_summary(lua_State *L, int answer);

/*
 * Pushes an array, marked as one, of the answer's messages with the fields that an API takes; below it lies what they
 * shared. E_CORRUPT: stored JSON that is none.
 */
int convstore__lua_push_context(lua_State *L, struct answer *answer, convstore_error *err);

#endif
