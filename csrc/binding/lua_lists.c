/* What goes over all of a user's conversations: lists of them and of their messages, in pages, and usage. */
#include "arguments.h"
#include "call.h"
#include "push.h"

enum {
  ITERATED_PAGE = 100 /* rows that an iterator fetches at once, where nothing else is said */
};

static convstore_request request_of(const struct user *user, convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = (convstore_text){user->id, user->n_id};
  return request;
}

static void take_order(struct arguments *args, const struct field *field, void *slot) {
  convstore_text order = {NULL, 0};
  convstore__lua_take_text(args, field, &order);
  *(bool *)slot = convstore__lua_same(order, "created");
  if (!*(bool *)slot && !convstore__lua_same(order, "updated")) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s must be \"updated\" or \"created\"",
                   field->name);
  }
}

static void take_mark(struct arguments *args, const struct field *field, void *slot) {
  convstore_request *request = slot;
  if (lua_type(args->L, -1) != LUA_TSTRING) convstore__lua_type_error(args, field, "string");
  request->mark_only = true;
  convstore__lua_take_mark(args, field, &request->mark);
}

static void take_deleted(struct arguments *args, const struct field *field, void *slot) {
  convstore_deleted_filter *filter = slot;
  if (lua_isboolean(args->L, -1)) {
    *filter = lua_toboolean(args->L, -1) ? CONVSTORE_DELETED_ONLY : CONVSTORE_DELETED_NO;
  } else if (lua_type(args->L, -1) != LUA_TSTRING) {
    convstore__lua_type_error(args, field, "boolean or \"any\"");
  } else if (convstore__lua_same(convstore__lua_text(args->L, -1), "any")) {
    *filter = CONVSTORE_DELETED_ANY;
  } else {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s must be false, true or \"any\"",
                   field->name);
  }
}

static void take_by(struct arguments *args, const struct field *field, void *slot) {
  convstore_text by = {NULL, 0};
  convstore__lua_take_text(args, field, &by);
  if (convstore__lua_same(by, "day")) {
    *(convstore_by *)slot = CONVSTORE_BY_DAY;
  } else if (convstore__lua_same(by, "conversation")) {
    *(convstore_by *)slot = CONVSTORE_BY_CONVERSATION;
  } else {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s must be \"day\" or \"conversation\"",
                   field->name);
  }
}

static const struct field list_options[] = {
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("cursor", convstore__lua_take_text, convstore_request, cursor),
    FIELD("order", take_order, convstore_request, by_created),
    FIELD_OF("status", take_mark),
    FIELD("deleted", take_deleted, convstore_request, deleted_filter),
    FIELDS_END,
};

static const struct field messages_options[] = {
    FIELD("role", convstore__lua_take_roles, convstore_request, roles),
    FIELD("since", convstore__lua_take_integer, convstore_request, since_ms),
    FIELD("before", convstore__lua_take_integer, convstore_request, before_ms),
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("cursor", convstore__lua_take_text, convstore_request, cursor),
    FIELDS_END,
};

static const struct field usage_options[] = {
    FIELD("since", convstore__lua_take_integer, convstore_request, since_ms),
    FIELD("before", convstore__lua_take_integer, convstore_request, before_ms),
    FIELD("by", take_by, convstore_request, by),
    FIELDS_END,
};

/* Reads the options at 2, whose strings stay on the stack, and runs the request. NULL: err says why. */
static struct answer *run_with_options(lua_State *L, const struct user *user, const struct field *options,
                                       convstore_request *request, convstore_error *err) {
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  lua_settop(L, 2);
  convstore__lua_read_optional(&args, options, request);
  if (args.err.status == CONVSTORE_OK) return convstore__lua_run(L, user->store, request, err);
  *err = args.err;
  return NULL;
}

/* user:list([options]) -> array of conversations as tables, cursor. */
static int l_list(lua_State *L) {
  const struct user *user = convstore__lua_user(L, 1);
  convstore_request request = request_of(user, CONVSTORE_LIST);
  convstore_error err;
  if (run_with_options(L, user, list_options, &request, &err) == NULL) return convstore__lua_fail(L, &err);
  return convstore__lua_push_listed_page(L, lua_gettop(L), request.user_id);
}

/* user:messages([options]) -> array of messages, cursor. */
static int l_messages(lua_State *L) {
  const struct user *user = convstore__lua_user(L, 1);
  convstore_request request = request_of(user, CONVSTORE_MESSAGES);
  convstore_error err;
  if (run_with_options(L, user, messages_options, &request, &err) == NULL) {
    return convstore__lua_fail(L, &err);
  }
  return convstore__lua_push_messages_page(L, lua_gettop(L));
}

/* ---- an iterator over a list -------------------------------------------------------------------------------- */

/* Where it has got to. It keeps the options as they were given, whatever becomes of their table. */
struct walk {
  struct store *store;
  convstore_request request; /* of the next page; its cursor is the string at WALK_CURSOR */
  bool finished;             /* the page at hand is the last */
  lua_Integer i;             /* the conversation in the page that was given last */
};

enum { /* upvalues of the iterator */
  WALK_USER = 1,
  WALK,
  WALK_PAGE,
  WALK_CURSOR,
  WALK_UPVALUES = 4
};

/* Makes the next page the one at hand; a failure raises its message, since a loop has no other way to tell. */
static void next_page(lua_State *L, struct walk *walk) {
  convstore_error err;
  if (convstore__lua_run(L, walk->store, &walk->request, &err) == NULL) {
    convstore__lua_fail(L, &err);
    lua_pushvalue(L, -2);
    lua_error(L);
  }
  if (convstore__lua_push_listed_page(L, lua_gettop(L), walk->request.user_id) > 2) {
    lua_pushvalue(L, -2);
    lua_error(L);
  }
  walk->finished = lua_isnil(L, -1);
  walk->request.cursor = walk->finished ? (convstore_text){NULL, 0} : convstore__lua_text(L, -1);
  walk->i = 0;
  lua_replace(L, lua_upvalueindex(WALK_CURSOR));
  lua_replace(L, lua_upvalueindex(WALK_PAGE));
}

/* The iterator of conversations: the next one, or nil. */
static int l_next(lua_State *L) {
  const int page = lua_upvalueindex(WALK_PAGE);
  struct walk *walk = lua_touserdata(L, lua_upvalueindex(WALK));
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(WALK_USER));
  convstore__lua_user(L, 1);
  if (lua_rawgeti(L, page, ++walk->i) == LUA_TNIL) {
    if (walk->finished) return 1;
    lua_settop(L, 1);
    next_page(L, walk);
    lua_rawgeti(L, page, ++walk->i);
  }
  lua_pushnil(L);
  lua_rawseti(L, page, walk->i); /* the loop alone decides how long a table lives */
  return 1;
}

/* user:conversations([options]) -> an iterator over what list would give, in pages. No I/O before the first step. */
static int l_conversations(lua_State *L) {
  const struct user *user = convstore__lua_user(L, 1);
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  convstore_request request = request_of(user, CONVSTORE_LIST);
  struct walk *walk;
  lua_settop(L, 2);
  convstore__lua_read_optional(&args, list_options, &request);
  if (args.err.status != CONVSTORE_OK) {
    convstore__lua_fail(L, &args.err);
    lua_pushvalue(L, -2);
    return lua_error(L);
  }
  if (request.limit == CONVSTORE_ABSENT) request.limit = ITERATED_PAGE;
  lua_pushvalue(L, 1);
  walk = lua_newuserdatauv(L, sizeof *walk, 0);
  *walk = (struct walk){.store = user->store, .request = request};
  lua_newtable(L);
  lua_pushlstring(L, request.cursor.data != NULL ? request.cursor.data : "", request.cursor.size);
  if (request.cursor.data != NULL) walk->request.cursor = convstore__lua_text(L, -1);
  lua_pushcclosure(L, l_next, WALK_UPVALUES);
  return 1;
}

/* ---- usage -------------------------------------------------------------------------------------------------- */

static void set_sums(lua_State *L, int64_t messages, int64_t tokens) {
  lua_pushinteger(L, messages);
  lua_setfield(L, -2, "messages");
  lua_pushinteger(L, tokens);
  lua_setfield(L, -2, "tokens");
}

static void push_usage_by_role(lua_State *L, const convstore_result *result) {
  int64_t messages = 0;
  int64_t tokens = 0;
  lua_createtable(L, 0, 4);
  lua_createtable(L, 0, (int)result->n_usage);
  for (size_t i = 0; i < result->n_usage; i++) {
    const convstore_usage *usage = &result->usage[i];
    messages += usage->messages;
    tokens += usage->tokens;
    lua_createtable(L, 0, 2);
    set_sums(L, usage->messages, usage->tokens);
    lua_setfield(L, -2, convstore_role_name(usage->role));
  }
  lua_setfield(L, -2, "by_role");
  set_sums(L, messages, tokens);
  lua_pushinteger(L, result->n_conversations);
  lua_setfield(L, -2, "conversations");
}

/* "YYYY-MM-DD" of a day. Times that have no such text are never stored. */
static void set_day(lua_State *L, int64_t day) {
  char text[CONVSTORE_TIME_SIZE];
  if (convstore_iso8601(text, day * 86400000, NULL) != CONVSTORE_OK) return;
  lua_pushlstring(L, text, sizeof "YYYY-MM-DD" - 1);
  lua_setfield(L, -2, "day");
}

static void push_usage_groups(lua_State *L, const convstore_result *result, convstore_by by) {
  lua_createtable(L, (int)result->n_usage, 0);
  for (size_t i = 0; i < result->n_usage; i++) {
    const convstore_usage *usage = &result->usage[i];
    lua_createtable(L, 0, 3);
    if (by == CONVSTORE_BY_DAY) {
      set_day(L, usage->day);
    } else {
      lua_pushstring(L, usage->conversation_id);
      lua_setfield(L, -2, "conversation_id");
    }
    set_sums(L, usage->messages, usage->tokens);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* user:usage([{ since=, before=, by= }]) -> sums, or an array of them by day or conversation. */
static int l_usage(lua_State *L) {
  const struct user *user = convstore__lua_user(L, 1);
  convstore_request request = request_of(user, CONVSTORE_USAGE);
  convstore_error err;
  const struct answer *answer = run_with_options(L, user, usage_options, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  if (request.by == CONVSTORE_BY_ROLE) {
    push_usage_by_role(L, &answer->result);
  } else {
    push_usage_groups(L, &answer->result, request.by);
  }
  convstore__lua_answer_done(L, -2);
  return 1;
}

const luaL_Reg convstore__lua_list_methods[] = {{"conversations", l_conversations},
                                                {"list", l_list},
                                                {"messages", l_messages},
                                                {"usage", l_usage},
                                                {NULL, NULL}};
