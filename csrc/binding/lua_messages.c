/*
 * Messages: appending, annotating, redacting, and reading a single one.
 *
 * An append reads its tables into drafts, and only then calls what may be the program's own code
 * (count_tokens): from then on nothing is taken from those tables any more, so a function that changes them
 * changes nothing that is stored.
 */
#include <string.h>

#include "arguments.h"
#include "call.h"
#include "json.h"
#include "push.h"
#include "tokens.h"

/* A message as it is being read. Its texts borrow strings that the reader anchors. */
struct draft {
  convstore_message message;
  int64_t expect;
  bool has_role;
};

static const struct draft empty_draft = {.message = CONVSTORE_MESSAGE_INIT, .expect = CONVSTORE_ABSENT};

static void set_role(struct arguments *args, struct draft *draft, convstore_text name) {
  draft->has_role = true;
  convstore_role_parse(&draft->message.role, name, convstore__lua_report(args));
}

static void take_role(struct arguments *args, const struct field *field, void *slot) {
  convstore_text name = {NULL, 0};
  convstore__lua_take_text(args, field, &name);
  set_role(args, slot, name);
}

/* The value at the top as the array `name`: an empty one counts as absent where `drop_empty`. */
static void set_array(struct arguments *args, const char *name, convstore_text *out, bool drop_empty) {
  lua_State *L = args->L;
  if (convstore__lua_json_encode(L, SHAPE_ARRAY, name, args->max_json, convstore__lua_report(args)) ==
      CONVSTORE_OK) {
    convstore_text text = convstore__lua_text(L, -1);
    if (!drop_empty || !convstore__lua_same(text, "[]")) {
      *out = text;
    }
  }
}

/* The value at the top as content. False: it is of no type that content has. */
static bool set_content(struct arguments *args, struct draft *draft) {
  lua_State *L = args->L;
  switch (lua_type(L, -1)) {
  case LUA_TSTRING:
    draft->message.content = convstore__lua_text(L, -1);
    return true;
  case LUA_TTABLE:
    set_array(args, "content", &draft->message.parts, false);
    return true;
  default:
    return convstore__lua_is_null(L, -1) || lua_isnil(L, -1);
  }
}

static void take_content(struct arguments *args, const struct field *field, void *slot) {
  if (!set_content(args, slot)) convstore__lua_type_error(args, field, "string or table");
}

static void take_array(struct arguments *args, const struct field *field, void *slot) {
  if (lua_istable(args->L, -1)) {
    set_array(args, field->name, slot, true);
  } else {
    convstore__lua_type_error(args, field, "table");
  }
}

static const struct field message_fields[] = {
    FIELD_OF("role", take_role),
    FIELD_OF("content", take_content),
    FIELD("id", convstore__lua_take_id, struct draft, message.id),
    FIELD("name", convstore__lua_take_text, struct draft, message.name),
    FIELD("tool_calls", take_array, struct draft, message.tool_calls),
    FIELD("tool_call_id", convstore__lua_take_text, struct draft, message.tool_call_id),
    FIELD("attachments", take_array, struct draft, message.attachments),
    FIELD("metadata", convstore__lua_take_json, struct draft, message.metadata),
    FIELD("token_count", convstore__lua_take_integer, struct draft, message.token_count),
    FIELD("created_at", convstore__lua_take_integer, struct draft, message.created_at_ms),
    FIELD("expect", convstore__lua_take_integer, struct draft, expect),
    FIELDS_END,
};
/* Behind append's first two arguments. */
static const struct field *const further_fields = message_fields + 2;

/* Reads the message at `index`; its strings are left on the stack. */
static void read_message(struct arguments *args, int index, struct draft *draft) {
  convstore__lua_read(args, index, message_fields, draft);
  if (!draft->has_role) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID,
                   "role is missing: name one of user, assistant, system, developer, tool");
  }
}

/* Reads append's arguments 2 to 4 as one message. */
static void read_arguments(struct arguments *args, struct draft *draft) {
  lua_State *L = args->L;
  if (lua_type(L, 2) != LUA_TSTRING) luaL_typeerror(L, 2, "string or table");
  set_role(args, draft, convstore__lua_text(L, 2));
  lua_pushvalue(L, 3);
  if (!set_content(args, draft)) luaL_typeerror(L, 3, "string or table");
  args->arg = 4;
  convstore__lua_read_optional(args, further_fields, draft);
}

/* Pushes append's arguments 2 to 4 as one table, for count_tokens. */
static void push_arguments(lua_State *L) {
  lua_createtable(L, 0, 2);
  if (!lua_isnoneornil(L, 4)) {
    lua_pushnil(L);
    while (lua_next(L, 4) != 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
  }
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "role");
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "content");
}

static bool must_count(const struct conversation *conversation, const convstore_message *message) {
  return conversation->store->counts_tokens && message->token_count == CONVSTORE_ABSENT;
}

/* conv:append(role, content [, fields]), conv:append(message) -> the stored message. */
static int l_append(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  struct arguments args = {.L = L,
                           .arg = 2,
                           .noun = "field",
                           .null_is_absent = true,
                           .max_json = conversation->store->max_content_bytes};
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_APPEND);
  struct draft draft = empty_draft;
  struct answer *answer;
  bool is_table = lua_istable(L, 2);
  lua_settop(L, 4);
  if (is_table) {
    if (!lua_isnil(L, 3)) luaL_argerror(L, 3, "nothing may follow a message");
    read_message(&args, 2, &draft);
  } else {
    read_arguments(&args, &draft);
  }
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail_with_id(L, &args.err, draft.message.id);
  if (must_count(conversation, &draft.message)) {
    if (is_table) {
      lua_pushvalue(L, 2);
    } else {
      push_arguments(L);
    }
    draft.message.token_count = convstore__lua_count_tokens(L);
  }
  request.messages = &draft.message;
  request.n_messages = 1;
  request.expect = draft.expect;
  answer = convstore__lua_run(L, conversation->store, &request, &args.err);
  if (answer == NULL) return convstore__lua_fail_with_id(L, &args.err, draft.message.id);
  convstore__lua_renew_counters(conversation, &answer->result.conversation);
  return convstore__lua_push_message(L, lua_gettop(L), conversation->id);
}

/* The length of the array of messages at 2; raises where it is none. */
static size_t check_messages(lua_State *L) {
  size_t n = 0;
  size_t length;
  luaL_checktype(L, 2, LUA_TTABLE);
  length = lua_rawlen(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 2) != 0) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || (size_t)lua_tointeger(L, -2) > length) {
      luaL_argerror(L, 2, "array of messages expected");
    }
    if (!lua_istable(L, -1)) {
      luaL_argerror(L, 2,
                    lua_pushfstring(L, "message %I: table expected, got %s",
                                    (LUAI_UACINT)lua_tointeger(L, -2), luaL_typename(L, -1)));
    }
    lua_pop(L, 1);
    n++;
  }
  if (n != length) luaL_argerror(L, 2, "array of messages expected");
  return n;
}

/* Says in the error which message of the array it is about. */
static void name_message(convstore_error *err, int item) {
  convstore_fail(err, err->status, "message %d: %s", item, strstr(err->message, ": ") + 2);
}

/*
 * Reads the array of messages at 2 into messages[n], and anchors their strings in the table at `anchor`:
 * there may be more of them than a stack holds.
 */
static void read_messages(struct arguments *args, convstore_message *messages, size_t n, int anchor,
                          int64_t *expect) {
  lua_State *L = args->L;
  lua_Integer n_anchored = 0;
  int failed_item = 0;
  for (size_t i = 0; i < n; i++) {
    struct draft draft = empty_draft;
    args->item = (int)i + 1;
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TTABLE) {
      luaL_error(L, "the array of messages was changed while it was being read");
    }
    read_message(args, lua_gettop(L), &draft);
    while (lua_gettop(L) > anchor) {
      lua_rawseti(L, anchor, ++n_anchored);
    }
    if (i == 0) {
      *expect = draft.expect;
    } else if (draft.expect != CONVSTORE_ABSENT) {
      convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "expect belongs to the first message");
    }
    if (args->err.status != CONVSTORE_OK && failed_item == 0) {
      failed_item = args->item;
    }
    messages[i] = draft.message;
  }
  if (failed_item != 0) {
    name_message(&args->err, failed_item);
  }
}

/* Pushes nil, message, code and the array of the ids to try again with. */
static int fail_with_ids(lua_State *L, const convstore_error *err, convstore_message *messages, size_t n) {
  int n_values = convstore__lua_fail(L, err);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    if (messages[i].id[0] == '\0' && convstore_uuid(messages[i].id, NULL) != CONVSTORE_OK) {
      lua_pop(L, 1);
      return n_values;
    }
    lua_pushstring(L, messages[i].id);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return n_values + 1;
}

/* conv:append_many(messages) -> array of the stored messages; all or none. */
static int l_append_many(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  struct arguments args = {.L = L,
                           .arg = 2,
                           .noun = "field",
                           .null_is_absent = true,
                           .max_json = conversation->store->max_content_bytes};
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_APPEND);
  struct answer *answer;
  lua_settop(L, 2);
  request.n_messages = check_messages(L);
  request.messages = lua_newuserdatauv(L, request.n_messages * sizeof *request.messages, 0);
  lua_createtable(L, (int)request.n_messages, 0);
  read_messages(&args, request.messages, request.n_messages, lua_gettop(L), &request.expect);
  if (args.err.status != CONVSTORE_OK)
    return fail_with_ids(L, &args.err, request.messages, request.n_messages);
  for (size_t i = 0; i < request.n_messages; i++) {
    if (must_count(conversation, &request.messages[i])) {
      lua_rawgeti(L, 2, (lua_Integer)i + 1);
      request.messages[i].token_count = convstore__lua_count_tokens(L);
    }
  }
  answer = convstore__lua_run(L, conversation->store, &request, &args.err);
  if (answer == NULL) return fail_with_ids(L, &args.err, request.messages, request.n_messages);
  convstore__lua_renew_counters(conversation, &answer->result.conversation);
  return convstore__lua_push_messages(L, lua_gettop(L), conversation->id);
}

/* Runs a request that gives one message. */
static int run_for_message(lua_State *L, const struct conversation *conversation,
                           convstore_request *request) {
  convstore_error err;
  if (convstore__lua_run(L, conversation->store, request, &err) == NULL) return convstore__lua_fail(L, &err);
  return convstore__lua_push_message(L, lua_gettop(L), conversation->id);
}

/* The same for one that changes the message, and so the conversation's updated_at. */
static int run_for_change(lua_State *L, struct conversation *conversation, convstore_request *request) {
  convstore_error err;
  struct answer *answer = convstore__lua_run(L, conversation->store, request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  const convstore_message *message = answer->result.messages;
  if (message->updated_at_ms > conversation->updated_at_ms) {
    conversation->updated_at_ms = message->updated_at_ms;
  }
  if (message->redacted_at_ms > conversation->updated_at_ms) {
    conversation->updated_at_ms = message->redacted_at_ms;
  }
  return convstore__lua_push_message(L, lua_gettop(L), conversation->id);
}

/* conv:message(seq), conv:message(id) -> one message. */
static int l_message(lua_State *L) {
  const struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_MESSAGE);
  convstore_error err;
  if (lua_type(L, 2) == LUA_TSTRING) {
    if (convstore_id_set(request.message_id, convstore__lua_text(L, 2), "id", &err) != CONVSTORE_OK) {
      return convstore__lua_fail(L, &err);
    }
  } else if (lua_type(L, 2) == LUA_TNUMBER) {
    request.seq = convstore__lua_check_integer(L, 2);
  } else {
    return luaL_typeerror(L, 2, "integer or string");
  }
  return run_for_message(L, conversation, &request);
}

/* conv:annotate(seq, metadata) -> the message, with metadata merged into its own. */
static int l_annotate(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_ANNOTATE);
  convstore_error err;
  request.seq = convstore__lua_check_integer(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  if (convstore__lua_json_encode(L, SHAPE_ANY, "metadata", conversation->store->max_content_bytes, &err) !=
      CONVSTORE_OK) {
    return convstore__lua_fail(L, &err);
  }
  request.metadata = convstore__lua_text(L, 3);
  return run_for_change(L, conversation, &request);
}

/* conv:redact(seq) -> the message, emptied. */
static int l_redact(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_REDACT);
  request.seq = convstore__lua_check_integer(L, 2);
  return run_for_change(L, conversation, &request);
}

const luaL_Reg convstore__lua_message_methods[] = {{"annotate", l_annotate},       {"append", l_append},
                                                   {"append_many", l_append_many}, {"message", l_message},
                                                   {"redact", l_redact},           {NULL, NULL}};
