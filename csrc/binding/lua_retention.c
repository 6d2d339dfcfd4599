/*
 * What becomes of old conversations, and of a user who wants to be forgotten: purge, archive, erase. The core does a
 * part at each call, a short transaction; here they are asked for until nothing is left.
 */
#include "arguments.h"
#include "call.h"

static const struct field purge_options[] = {
    FIELD("idle_before", convstore__lua_take_integer, convstore_request, idle_before_ms),
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("deleted_before", convstore__lua_take_integer, convstore_request, deleted_before_ms),
    FIELDS_END,
};

static const struct field archive_options[] = {
    FIELD("idle_before", convstore__lua_take_integer, convstore_request, idle_before_ms),
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELDS_END,
};

/* Pushes { conversations=, messages= }. */
static void push_sums(lua_State *L, int64_t conversations, int64_t messages) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, conversations);
  lua_setfield(L, -2, "conversations");
  lua_pushinteger(L, messages);
  lua_setfield(L, -2, "messages");
}

/* Runs the request part by part, and pushes the sums; or nil, message, code and the sums until then: what was done
 * before a failure stays done, and the same call goes on behind it. */
static int run_parts(lua_State *L, struct store *store, convstore_request *request) {
  int64_t conversations = 0;
  int64_t messages = 0;
  bool more = true;
  while (more) {
    convstore_error err;
    const struct answer *answer = convstore__lua_run(L, store, request, &err);
    if (answer == NULL) {
      (void)convstore__lua_fail(L, &err);
      push_sums(L, conversations, messages);
      return 4;
    }
    conversations += answer->result.n_conversations;
    messages += answer->result.n_messages_changed;
    more = answer->result.more;
    if (request->limit != CONVSTORE_ABSENT) {
      request->limit -= answer->result.n_conversations;
      if (request->limit <= 0) more = false;
    }
    convstore__lua_answer_done(L, -1);
    lua_pop(L, 1);
  }
  push_sums(L, conversations, messages);
  return 1;
}

static int run_for_operator(lua_State *L, convstore_operation operation, const struct field *options) {
  struct store *store = convstore__lua_store(L, 1);
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  request.operation = operation;
  convstore__lua_read(&args, 2, options, &request);
  return run_parts(L, store, &request);
}

/* store:purge{ deleted_before=, idle_before=, limit= } -> { conversations=, messages= }. */
static int l_purge(lua_State *L) {
  return run_for_operator(L, CONVSTORE_PURGE_OLD, purge_options);
}

/* store:archive{ idle_before=, limit= } -> { conversations=, messages= }. */
static int l_archive(lua_State *L) {
  return run_for_operator(L, CONVSTORE_ARCHIVE, archive_options);
}

/* user:erase() -> { conversations=, messages= }: everything that the user has. */
static int l_erase(lua_State *L) {
  const struct user *user = convstore__lua_user(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = CONVSTORE_ERASE;
  request.user_id = (convstore_text){user->id, user->n_id};
  lua_settop(L, 1);
  return run_parts(L, user->store, &request);
}

const luaL_Reg convstore__lua_retention_methods[] = {
    {"archive", l_archive}, {"purge", l_purge}, {NULL, NULL}};
const luaL_Reg convstore__lua_erase_methods[] = {{"erase", l_erase}, {NULL, NULL}};
