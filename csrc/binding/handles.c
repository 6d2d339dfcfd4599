/* See handles.h. */
#include "handles.h"

#include <string.h>

struct store *convstore__lua_store(lua_State *L, int arg) {
  struct store *store = luaL_checkudata(L, arg, STORE_TYPE);
  if (store->handle == NULL) luaL_argerror(L, arg, "store is closed");
  return store;
}

static void check_open(lua_State *L, int arg, const struct store *store, bool closed, const char *message) {
  if (closed) luaL_argerror(L, arg, message);
  if (store->handle == NULL) luaL_argerror(L, arg, "store is closed");
}

struct user *convstore__lua_user(lua_State *L, int arg) {
  struct user *user = luaL_checkudata(L, arg, USER_TYPE);
  check_open(L, arg, user->store, user->closed, "user is closed");
  return user;
}

struct conversation *convstore__lua_conversation(lua_State *L, int arg) {
  struct conversation *conversation = luaL_checkudata(L, arg, CONVERSATION_TYPE);
  check_open(L, arg, conversation->store, conversation->closed, "conversation is closed");
  return conversation;
}

static void push_text(lua_State *L, convstore_text text) {
  if (text.data != NULL) {
    lua_pushlstring(L, text.data, text.size);
  } else {
    lua_pushnil(L);
  }
}

void convstore__lua_push_conversation(lua_State *L, int child, struct store *store, convstore_text user_id,
                                      const convstore_conversation *row) {
  int parent = lua_absindex(L, child);
  struct conversation *conversation =
      lua_newuserdatauv(L, sizeof *conversation + user_id.size, CONVERSATION_USER_VALUES);
  conversation->store = store;
  conversation->closed = false;
  conversation->n_user_id = user_id.size;
  memcpy(conversation->user_id, user_id.data, user_id.size);
  lua_getiuservalue(L, parent, CHILD_STORE);
  lua_setiuservalue(L, -2, CHILD_STORE);
  convstore__lua_renew_conversation(L, -1, row);
  luaL_setmetatable(L, CONVERSATION_TYPE);
}

void convstore__lua_renew_conversation(lua_State *L, int index, const convstore_conversation *row) {
  int handle = lua_absindex(L, index);
  struct conversation *conversation = lua_touserdata(L, handle);
  push_text(L, row->key); /* whatever can raise comes before anything is changed */
  push_text(L, row->title);
  push_text(L, row->metadata);
  lua_setiuservalue(L, handle, CONVERSATION_METADATA);
  lua_setiuservalue(L, handle, CONVERSATION_TITLE);
  lua_setiuservalue(L, handle, CONVERSATION_KEY);
  memcpy(conversation->id, row->id, sizeof conversation->id);
  memcpy(conversation->forked_from_id, row->forked_from_id, sizeof conversation->forked_from_id);
  conversation->forked_from_seq = row->forked_from_seq;
  conversation->created_at_ms = row->created_at_ms;
  conversation->deleted_at_ms = row->deleted_at_ms;
  convstore__lua_renew_counters(conversation, row);
}

void convstore__lua_renew_counters(struct conversation *conversation, const convstore_conversation *row) {
  conversation->mark = row->mark;
  conversation->updated_at_ms = row->updated_at_ms;
  conversation->last_seq = row->last_seq;
  conversation->token_count = row->token_count;
}

void convstore__lua_new_type(lua_State *L, const char *type, const char *name, const luaL_Reg *metamethods,
                             const luaL_Reg *methods, lua_CFunction index) {
  luaL_newmetatable(L, type);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  if (index != NULL) {
    lua_pushcclosure(L, index, 1);
  }
  lua_setfield(L, -3, "__index");
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}
