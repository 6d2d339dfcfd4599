/* What operators ask of a whole store: who its users are, how much it holds, whether it is sound, and a copy of it. */
#include "arguments.h"
#include "call.h"

static void set_text(lua_State *L, const char *name, convstore_text text) {
  lua_pushlstring(L, text.data, text.size);
  lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static const struct field users_options[] = {
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("cursor", convstore__lua_take_text, convstore_request, cursor),
    FIELDS_END,
};

/* store:users([{ limit=, cursor= }]) -> array of { user_id=, conversations=, messages=, updated_at= }, cursor. */
static int l_users(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  const struct answer *answer = NULL;
  request.operation = CONVSTORE_USERS;
  lua_settop(L, 2);
  convstore__lua_read_optional(&args, users_options, &request);
  if (args.err.status == CONVSTORE_OK) answer = convstore__lua_run(L, store, &request, &args.err);
  if (answer == NULL) return convstore__lua_fail(L, &args.err);
  lua_createtable(L, (int)answer->result.n_users, 0);
  for (size_t i = 0; i < answer->result.n_users; i++) {
    const convstore_user *user = &answer->result.users[i];
    lua_createtable(L, 0, 4);
    set_text(L, "user_id", user->user_id);
    set_number(L, "conversations", user->conversations);
    set_number(L, "messages", user->messages);
    set_number(L, "updated_at", user->updated_at_ms);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (answer->result.cursor.data != NULL) {
    lua_pushlstring(L, answer->result.cursor.data, answer->result.cursor.size);
  } else {
    lua_pushnil(L);
  }
  convstore__lua_answer_done(L, -3);
  return 2;
}

/* store:stats() -> a table of sums. */
static int l_stats(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  const struct answer *answer;
  const convstore_stats *stats;
  request.operation = CONVSTORE_STATS;
  answer = convstore__lua_run(L, store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  stats = &answer->result.stats;
  lua_createtable(L, 0, 8);
  lua_pushstring(L, stats->backend);
  lua_setfield(L, -2, "backend");
  set_text(L, "backend_version", stats->backend_version);
  set_number(L, "schema_version", answer->result.schema_version);
  set_number(L, "users", stats->users);
  set_number(L, "conversations", stats->conversations);
  set_number(L, "messages", stats->messages);
  set_number(L, "archived_messages", stats->archived_messages);
  set_number(L, "bytes", stats->bytes);
  convstore__lua_answer_done(L, -2);
  return 1;
}

/*
 * store:check() -> array of { problem=, conversation_id=, detail= }, empty where all is well. `problem` is one of
 * "counter", "damage", "foreign_keys", "gap", "misplaced", "orphan", "rls_bypassed", "rls_missing", "schema", "search",
 * "summary", in this order, and at the end perhaps "more"; convstore.h says what each means.
 */
static int l_check(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  const struct answer *answer;
  request.operation = CONVSTORE_CHECK;
  answer = convstore__lua_run(L, store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  lua_createtable(L, (int)answer->result.n_problems, 0);
  for (size_t i = 0; i < answer->result.n_problems; i++) {
    const convstore_problem *problem = &answer->result.problems[i];
    lua_createtable(L, 0, 3);
    set_text(L, "problem", problem->problem);
    if (problem->conversation_id[0] != '\0') {
      lua_pushstring(L, problem->conversation_id);
      lua_setfield(L, -2, "conversation_id");
    }
    set_text(L, "detail", problem->detail);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  convstore__lua_answer_done(L, -2);
  return 1;
}

/* store:backup(path) -> true. */
static int l_backup(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  request.operation = CONVSTORE_BACKUP;
  request.path = convstore__lua_check_text(L, 2);
  if (convstore__lua_run(L, store, &request, &err) == NULL) return convstore__lua_fail(L, &err);
  convstore__lua_answer_done(L, -1);
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg convstore__lua_operator_methods[] = {
    {"backup", l_backup}, {"check", l_check}, {"stats", l_stats}, {"users", l_users}, {NULL, NULL}};
