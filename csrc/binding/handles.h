/*
 * The userdata behind the handles: stores, users, conversations. What they hold, what keeps what alive, and
 * the gate that every method passes. It knows no operation.
 *
 * A child has a plain pointer to its store, and a user value that keeps the store's userdata alive. Lua frees
 * no memory of finalized objects before all their finalizers have run, so the pointer is good even when the
 * order of collection is not; whether the store still is open, its `handle` tells.
 */
#ifndef CONVSTORE_BINDING_HANDLES_H
#define CONVSTORE_BINDING_HANDLES_H

#include <lauxlib.h>
#include <lua.h>

#include "../convstore.h"

#define STORE_TYPE "convstore.store"
#define USER_TYPE "convstore.user"
#define CONVERSATION_TYPE "convstore.conversation"

struct store {
  convstore *handle;        /* owned; NULL: closed */
  size_t max_content_bytes; /* of one content or JSON value: an encoder need not go on beyond it */
  bool counts_tokens;       /* there is a function at STORE_COUNT_TOKENS */
  lua_Integer transactions; /* outermost ones begun so far: tells whether one is the one that is open */
};

struct user {
  struct store *store;
  bool closed;
  size_t n_id;
  char id[];
};

/* What changes with each append lies in C, so that an append makes no Lua value for it. */
struct conversation {
  struct store *store;
  bool closed;
  convstore_mark mark;
  int64_t created_at_ms;
  int64_t updated_at_ms;
  int64_t deleted_at_ms; /* or CONVSTORE_ABSENT */
  int64_t last_seq;
  int64_t token_count;
  int64_t forked_from_seq;
  char forked_from_id[CONVSTORE_ID_SIZE]; /* "": no fork */
  char id[CONVSTORE_ID_SIZE];
  size_t n_user_id;
  char user_id[];
};

/* User values. The store comes first in both kinds of children. */
enum {
  STORE_COUNT_TOKENS = 1,
  STORE_USER_VALUES = 1
};
enum {
  CHILD_STORE = 1,
  USER_USER_VALUES = 1
};
enum {
  CONVERSATION_KEY = 2,
  CONVERSATION_TITLE,
  CONVERSATION_METADATA,
  CONVERSATION_USER_VALUES = 4
};

/* The handle at `arg`. Raises where it is of another type, closed, or a child of a closed store. */
struct store *convstore__lua_store(lua_State *L, int arg);
struct user *convstore__lua_user(lua_State *L, int arg);
struct conversation *convstore__lua_conversation(lua_State *L, int arg);

/*
 * Pushes a new conversation handle with the values of `row`, which is not kept. `child` is the stack index of
 * a user or conversation handle of the same store. `user_id` is copied. Allocates; raises when out of memory.
 */
void convstore__lua_push_conversation(lua_State *L, int child, struct store *store, convstore_text user_id,
                                      const convstore_conversation *row);

/* Renews all fields of the conversation handle at `index`: all of them, or (out of memory: raises) none. */
void convstore__lua_renew_conversation(lua_State *L, int index, const convstore_conversation *row);

/* Renews what an append changes. Allocates nothing. */
void convstore__lua_renew_counters(struct conversation *conversation, const convstore_conversation *row);

/*
 * Makes the metatable `type` from its metamethods and methods, leaves nothing on the stack, and adds the
 * table of methods as `name` to the table at the top. __index finds methods by itself where `index` is NULL;
 * else it is a C function that has the table of methods as upvalue 1.
 */
void convstore__lua_new_type(lua_State *L, const char *type, const char *name, const luaL_Reg *metamethods,
                             const luaL_Reg *methods, lua_CFunction index);

/* open([dsn [, options]]): a store, or nil, message, code. */
int convstore__lua_open(lua_State *L);

/*
 * Each adds its metatables to the registry, and its functions and tables of methods to the module at the top.
 */
void convstore__lua_open_store(lua_State *L);
void convstore__lua_open_transaction(lua_State *L);
void convstore__lua_open_user(lua_State *L);
void convstore__lua_open_conversation(lua_State *L);

/* Methods of conversations that stand in other files than lua_conversation.c. */
extern const luaL_Reg convstore__lua_message_methods[];
extern const luaL_Reg convstore__lua_history_methods[];
extern const luaL_Reg convstore__lua_context_methods[];
extern const luaL_Reg convstore__lua_fork_methods[];

/* Methods of users that stand in other files than lua_user.c. */
extern const luaL_Reg convstore__lua_list_methods[];
extern const luaL_Reg convstore__lua_search_methods[];
extern const luaL_Reg convstore__lua_erase_methods[];

/* Methods of stores that stand in other files than lua_store.c. */
extern const luaL_Reg convstore__lua_retention_methods[];

/* Methods of stores that stand in other files than lua_store.c. */
extern const luaL_Reg convstore__lua_operator_methods[];

#endif
