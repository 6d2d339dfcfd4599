/* History: a conversation's messages, at once or one after the other in constant memory. */
#include "arguments.h"
#include "call.h"
#include "push.h"

/* A page ends with the message that brings it to one of these. */
enum {
  PAGE_ROWS = 256,
  PAGE_BYTES = 262144
};

/* Where an iterator has got to. It keeps the options as they were given, whatever becomes of their table. */
struct scan {
  struct store *store;
  convstore_request request; /* of the next page; its texts are the conversation's */
  bool started;              /* the request has its bounds */
  bool finished;             /* the page at hand is the last */
  lua_Integer i;             /* the message in the page that was given last */
};

static void take_order(struct arguments *args, const struct field *field, void *slot) {
  convstore_text order = {NULL, 0};
  convstore__lua_take_text(args, field, &order);
  *(bool *)slot = convstore__lua_same(order, "desc");
  if (!*(bool *)slot && !convstore__lua_same(order, "asc")) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s must be \"asc\" or \"desc\"",
                   field->name);
  }
}

static const struct field history_options[] = {
    FIELD("after", convstore__lua_take_integer, convstore_request, after),
    FIELD("before", convstore__lua_take_integer, convstore_request, before),
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("role", convstore__lua_take_roles, convstore_request, roles),
    FIELD("order", take_order, convstore_request, descending),
    FIELDS_END,
};

/* Reads the options at 2. A limit counts forwards from `after`, else backwards from the end. */
static int read_options(lua_State *L, convstore_request *request, convstore_error *err) {
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  convstore__lua_read_optional(&args, history_options, request);
  if (args.err.status != CONVSTORE_OK) {
    *err = args.err;
    return args.err.status;
  }
  request->from_end = request->limit != CONVSTORE_ABSENT && request->after == CONVSTORE_ABSENT;
  return CONVSTORE_OK;
}

/* conv:history([options]) -> array of messages. */
static int l_history(lua_State *L) {
  const struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_HISTORY);
  convstore_error err;
  if (read_options(L, &request, &err) != CONVSTORE_OK ||
      convstore__lua_run(L, conversation->store, &request, &err) == NULL) {
    return convstore__lua_fail(L, &err);
  }
  return convstore__lua_push_messages(L, lua_gettop(L), conversation->id);
}

/*
 * Turns the options into fixed bounds, after which pages can be counted in rows and bytes. Without a limit a
 * scan backwards needs none; one forwards does, or a loop that appends in its body would never end. That end
 * need not heed the roles.
 */
static int start_scan(lua_State *L, struct scan *scan, convstore_error *err) {
  bool limited = scan->request.limit != CONVSTORE_ABSENT;
  if (limited || !scan->request.descending) {
    convstore_request request = scan->request;
    const struct answer *answer;
    request.operation = CONVSTORE_BOUNDS;
    if (!limited) {
      request.roles = 0;
    }
    answer = convstore__lua_run(L, scan->store, &request, err);
    if (answer == NULL) return err->status;
    scan->request.after = answer->result.first_seq - 1;
    scan->request.before = answer->result.last_seq + 1;
    scan->finished = answer->result.last_seq == 0;
    convstore__lua_answer_done(L, -1);
    lua_pop(L, 1);
  }
  scan->request.limit = PAGE_ROWS;
  scan->request.max_bytes = PAGE_BYTES;
  scan->request.from_end = scan->request.descending;
  scan->started = true;
  return CONVSTORE_OK;
}

/* Pushes the next page, an array that is empty at the end; nil, message, code. Returns how many values. */
static int push_page(lua_State *L, struct scan *scan) {
  convstore_error err;
  const convstore_result *result;
  const struct answer *answer;
  if (!scan->started && start_scan(L, scan, &err) != CONVSTORE_OK) return convstore__lua_fail(L, &err);
  if (scan->finished) {
    lua_newtable(L);
    return 1;
  }
  answer = convstore__lua_run(L, scan->store, &scan->request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  result = &answer->result;
  scan->finished = result->n_messages < PAGE_ROWS && !result->more;
  if (result->n_messages > 0) {
    *(scan->request.descending ? &scan->request.before : &scan->request.after) =
        result->messages[result->n_messages - 1].seq;
  }
  scan->i = 0;
  return convstore__lua_push_messages(L, lua_gettop(L), scan->request.conversation_id);
}

/*
 * The iterator of each: the next message, or nil. A failure raises its message, since a loop has no other way
 * to tell. Upvalues: the conversation, the scan, the page.
 */
static int l_next(lua_State *L) {
  const int page = lua_upvalueindex(3);
  struct scan *scan = lua_touserdata(L, lua_upvalueindex(2));
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  convstore__lua_conversation(L, 1);
  if (lua_rawgeti(L, page, ++scan->i) == LUA_TNIL) {
    lua_settop(L, 1);
    if (push_page(L, scan) > 1) {
      lua_pushvalue(L, -2);
      return lua_error(L);
    }
    lua_copy(L, -1, page);
    lua_rawgeti(L, page, ++scan->i);
  }
  lua_pushnil(L);
  lua_rawseti(L, page, scan->i); /* the loop alone decides how long a message lives */
  return 1;
}

/*
 * conv:each([options]) -> an iterator over what history would give, in pages. No I/O before the first step.
 * Messages that are appended meanwhile are not seen.
 */
static int l_each(lua_State *L) {
  const struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_HISTORY);
  convstore_error err;
  struct scan *scan;
  if (read_options(L, &request, &err) != CONVSTORE_OK) {
    convstore__lua_fail(L, &err);
    lua_pushvalue(L, -2);
    return lua_error(L);
  }
  lua_pushvalue(L, 1);
  scan = lua_newuserdatauv(L, sizeof *scan, 0);
  *scan = (struct scan){.store = conversation->store, .request = request};
  lua_newtable(L);
  lua_pushcclosure(L, l_next, 3);
  return 1;
}

const luaL_Reg convstore__lua_history_methods[] = {{"each", l_each}, {"history", l_history}, {NULL, NULL}};
