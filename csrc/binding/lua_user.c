/*
 * Users: the conversations that belong to one of them, found or made. No other handle leads to a
 * conversation.
 */
#include "arguments.h"
#include "call.h"

/* Fields of a new conversation; `conversation` is asked for by its key, so `key` is for `create` alone. */
static const struct field create_fields[] = {
    FIELD("key", convstore__lua_take_text, convstore_request, conversation.key),
    FIELD("id", convstore__lua_take_id, convstore_request, conversation.id),
    FIELD("title", convstore__lua_take_text, convstore_request, conversation.title),
    FIELD("status", convstore__lua_take_mark, convstore_request, conversation.mark),
    FIELD("metadata", convstore__lua_take_json, convstore_request, conversation.metadata),
    FIELD("created_at", convstore__lua_take_integer, convstore_request, conversation.created_at_ms),
    FIELDS_END,
};
static const struct field *const conversation_fields = create_fields + 1;

static const struct field get_options[] = {
    FIELD("deleted", convstore__lua_take_boolean, convstore_request, deleted),
    FIELDS_END,
};

/*
 * Runs a request for one conversation of the user at 1. Pushes its handle; or nil, message, code and, where
 * the request was to make one, the id to try again with.
 */
static int run_for_handle(lua_State *L, struct user *user, convstore_request *request) {
  convstore_error err;
  struct answer *answer = convstore__lua_run(L, user->store, request, &err);
  if (answer != NULL) {
    convstore__lua_push_conversation(L, 1, user->store, request->user_id, &answer->result.conversation);
    convstore__lua_answer_done(L, -2);
    return 1;
  }
  if (request->operation == CONVSTORE_GET) return convstore__lua_fail(L, &err);
  return convstore__lua_fail_with_id(L, &err, request->conversation.id);
}

/* user:conversation(key [, fields]): the conversation with this key, made on first use. */
static int l_conversation(lua_State *L) {
  struct user *user = convstore__lua_user(L, 1);
  struct arguments args = {
      .L = L, .arg = 3, .noun = "field", .null_is_absent = true, .max_json = user->store->max_content_bytes};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  lua_settop(L, 3);
  request.operation = CONVSTORE_CONVERSATION;
  request.user_id = (convstore_text){user->id, user->n_id};
  request.conversation.key = convstore__lua_check_text(L, 2);
  convstore__lua_read_optional(&args, conversation_fields, &request);
  if (args.err.status != CONVSTORE_OK)
    return convstore__lua_fail_with_id(L, &args.err, request.conversation.id);
  return run_for_handle(L, user, &request);
}

/* user:create([fields]): a new conversation; the same id again gives the same one. */
static int l_create(lua_State *L) {
  struct user *user = convstore__lua_user(L, 1);
  struct arguments args = {
      .L = L, .arg = 2, .noun = "field", .null_is_absent = true, .max_json = user->store->max_content_bytes};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  lua_settop(L, 2);
  request.operation = CONVSTORE_CREATE;
  request.user_id = (convstore_text){user->id, user->n_id};
  convstore__lua_read_optional(&args, create_fields, &request);
  if (args.err.status != CONVSTORE_OK)
    return convstore__lua_fail_with_id(L, &args.err, request.conversation.id);
  return run_for_handle(L, user, &request);
}

/* user:get(id [, { deleted = true }]): the conversation with this id. */
static int l_get(lua_State *L) {
  struct user *user = convstore__lua_user(L, 1);
  struct arguments args = {.L = L, .arg = 3, .noun = "option"};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  lua_settop(L, 3);
  request.operation = CONVSTORE_GET;
  request.user_id = (convstore_text){user->id, user->n_id};
  convstore_id_set(request.conversation_id, convstore__lua_check_text(L, 2), "id", &args.err);
  convstore__lua_read_optional(&args, get_options, &request);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  return run_for_handle(L, user, &request);
}

/* user:close() -> true. Its conversations stay open: they need the store alone. */
static int l_close(lua_State *L) {
  struct user *user = luaL_checkudata(L, 1, USER_TYPE);
  user->closed = true;
  lua_pushboolean(L, 1);
  return 1;
}

/* Reads user.id, on a closed handle too; everything else is a method. Upvalue 1: the methods. */
static int l_index(lua_State *L) {
  const struct user *user = luaL_checkudata(L, 1, USER_TYPE);
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING && convstore__lua_same(convstore__lua_text(L, 2), "id")) {
    lua_pushlstring(L, user->id, user->n_id);
  } else {
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

static int l_newindex(lua_State *L) {
  return luaL_error(L, "a field of a user cannot be assigned");
}

static int l_tostring(lua_State *L) {
  const struct user *user = luaL_checkudata(L, 1, USER_TYPE);
  lua_pushliteral(L, USER_TYPE ": ");
  lua_pushlstring(L, user->id, user->n_id);
  lua_pushstring(L, user->closed || user->store->handle == NULL ? " (closed)" : "");
  lua_concat(L, 3);
  return 1;
}

void convstore__lua_open_user(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", l_close},
                                         {"__gc", l_close},
                                         {"__newindex", l_newindex},
                                         {"__tostring", l_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_close},
                                     {"conversation", l_conversation},
                                     {"create", l_create},
                                     {"get", l_get},
                                     {NULL, NULL}};
  convstore__lua_new_type(L, USER_TYPE, "user", metamethods, methods, l_index);
}
