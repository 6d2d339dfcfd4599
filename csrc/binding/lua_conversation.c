/*
 * Conversations: their fields, and what is done to one as a whole. Messages are for lua_messages.c and
 * lua_history.c.
 */
#include "arguments.h"
#include "call.h"
#include "json.h"

/*
 * The slot of a field of `update` is the request: a change is a value and a bit that says so, and null is no
 * value.
 */
static void change_text(struct arguments *args, const struct field *field, convstore_request *request,
                        convstore_text *text, unsigned change) {
  request->changes |= change;
  if (!convstore__lua_is_null(args->L, -1)) {
    convstore__lua_take_text(args, field, text);
  }
}

static void take_title(struct arguments *args, const struct field *field, void *slot) {
  convstore_request *request = slot;
  change_text(args, field, request, &request->conversation.title, CONVSTORE_CHANGE_TITLE);
}

static void take_key(struct arguments *args, const struct field *field, void *slot) {
  convstore_request *request = slot;
  change_text(args, field, request, &request->conversation.key, CONVSTORE_CHANGE_KEY);
}

static void take_status(struct arguments *args, const struct field *field, void *slot) {
  convstore_request *request = slot;
  request->changes |= CONVSTORE_CHANGE_MARK;
  convstore__lua_take_mark(args, field, &request->conversation.mark);
}

static void take_metadata(struct arguments *args, const struct field *field, void *slot) {
  convstore_request *request = slot;
  request->changes |= CONVSTORE_CHANGE_METADATA;
  convstore__lua_take_json(args, field, &request->conversation.metadata);
}

static const struct field update_fields[] = {
    FIELD_OF("title", take_title),
    FIELD_OF("key", take_key),
    FIELD_OF("status", take_status),
    FIELD_OF("metadata", take_metadata),
    FIELD("merge", convstore__lua_take_boolean, convstore_request, merge),
    FIELDS_END,
};

/* Runs a request that gives the conversation at 1 anew. Pushes its handle, renewed. */
static int run_for_renewal(lua_State *L, struct conversation *conversation, convstore_request *request) {
  convstore_error err;
  struct answer *answer = convstore__lua_run(L, conversation->store, request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  convstore__lua_renew_conversation(L, 1, &answer->result.conversation);
  convstore__lua_answer_done(L, -1);
  lua_pushvalue(L, 1);
  return 1;
}

/* conv:refresh() -> the handle, with the fields as the database has them now. */
static int l_refresh(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_GET);
  return run_for_renewal(L, conversation, &request);
}

/* conv:update{ title=, status=, metadata=, key=, merge= } -> the handle, renewed. */
static int l_update(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  struct arguments args = {
      .L = L, .arg = 2, .noun = "field", .max_json = conversation->store->max_content_bytes};
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_UPDATE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  convstore__lua_read(&args, 2, update_fields, &request);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  return run_for_renewal(L, conversation, &request);
}

/* conv:restore() -> the handle, renewed. */
static int l_restore(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_RESTORE);
  return run_for_renewal(L, conversation, &request);
}

/* conv:delete() -> true. Soft: hidden until restored. The handle then shows when it was deleted. */
static int l_delete(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_DELETE);
  int n = run_for_renewal(L, conversation, &request);
  if (n == 1) lua_pushboolean(L, 1);
  return n;
}

/* conv:purge() -> true. For good. */
static int l_purge(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_PURGE);
  convstore_error err;
  if (convstore__lua_run(L, conversation->store, &request, &err) == NULL) return convstore__lua_fail(L, &err);
  convstore__lua_answer_done(L, -1);
  lua_pushboolean(L, 1);
  return 1;
}

/* conv:close() -> true. Fields stay readable. */
static int l_close(lua_State *L) {
  struct conversation *conversation = luaL_checkudata(L, 1, CONVERSATION_TYPE);
  conversation->closed = true;
  lua_pushboolean(L, 1);
  return 1;
}

static void push_time(lua_State *L, int64_t time_ms) {
  if (time_ms == CONVSTORE_ABSENT) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, time_ms);
  }
}

/*
 * Decoded anew at each read, so that changing the copy changes nothing. Raises where the stored text is
 * corrupt.
 */
static void push_metadata(lua_State *L) {
  convstore_error err;
  struct answer *answer;
  if (lua_getiuservalue(L, 1, CONVERSATION_METADATA) != LUA_TSTRING) return;
  answer = convstore__lua_answer(L);
  if (convstore__lua_json_push(L, answer, convstore__lua_text(L, -2), "metadata", &err) != CONVSTORE_OK) {
    luaL_error(L, "%s", err.message);
  }
  convstore__lua_answer_done(L, -2);
}

static void push_forked_from(lua_State *L, const struct conversation *conversation) {
  if (conversation->forked_from_id[0] == '\0') {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 2);
  lua_pushstring(L, conversation->forked_from_id);
  lua_setfield(L, -2, "id");
  lua_pushinteger(L, conversation->forked_from_seq);
  lua_setfield(L, -2, "seq");
}

static void push_field(lua_State *L, const struct conversation *conversation, convstore_text name) {
  if (convstore__lua_same(name, "id")) {
    lua_pushstring(L, conversation->id);
  } else if (convstore__lua_same(name, "key")) {
    lua_getiuservalue(L, 1, CONVERSATION_KEY);
  } else if (convstore__lua_same(name, "user_id")) {
    lua_pushlstring(L, conversation->user_id, conversation->n_user_id);
  } else if (convstore__lua_same(name, "title")) {
    lua_getiuservalue(L, 1, CONVERSATION_TITLE);
  } else if (convstore__lua_same(name, "status")) {
    lua_pushstring(L, convstore_mark_name(conversation->mark));
  } else if (convstore__lua_same(name, "metadata")) {
    push_metadata(L);
  } else if (convstore__lua_same(name, "created_at")) {
    lua_pushinteger(L, conversation->created_at_ms);
  } else if (convstore__lua_same(name, "updated_at")) {
    lua_pushinteger(L, conversation->updated_at_ms);
  } else if (convstore__lua_same(name, "deleted_at")) {
    push_time(L, conversation->deleted_at_ms);
  } else if (convstore__lua_same(name, "message_count") || convstore__lua_same(name, "last_seq")) {
    lua_pushinteger(L, conversation->last_seq);
  } else if (convstore__lua_same(name, "token_count")) {
    lua_pushinteger(L, conversation->token_count);
  } else if (convstore__lua_same(name, "forked_from")) {
    push_forked_from(L, conversation);
  } else {
    lua_pushnil(L);
  }
}

/*
 * A method or a field; fields on a closed handle too. Upvalue 1: the methods, tried first since they are
 * called most.
 */
static int l_index(lua_State *L) {
  const struct conversation *conversation = luaL_checkudata(L, 1, CONVERSATION_TYPE);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL && lua_type(L, 2) == LUA_TSTRING) {
    push_field(L, conversation, convstore__lua_text(L, 2));
  }
  return 1;
}

static int l_newindex(lua_State *L) {
  return luaL_error(L, "a field of a conversation cannot be assigned: use conversation:update{ %s = ... }",
                    convstore__lua_show(L, 2));
}

static int l_tostring(lua_State *L) {
  const struct conversation *conversation = luaL_checkudata(L, 1, CONVERSATION_TYPE);
  lua_pushfstring(L, CONVERSATION_TYPE ": %s%s", conversation->id,
                  conversation->closed || conversation->store->handle == NULL ? " (closed)" : "");
  return 1;
}

void convstore__lua_open_conversation(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", l_close},
                                         {"__gc", l_close},
                                         {"__newindex", l_newindex},
                                         {"__tostring", l_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"close", l_close},     {"delete", l_delete}, {"purge", l_purge}, {"refresh", l_refresh},
      {"restore", l_restore}, {"update", l_update}, {NULL, NULL}};
  convstore__lua_new_type(L, CONVERSATION_TYPE, "conversation", metamethods, methods, l_index);
}
