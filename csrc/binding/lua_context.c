/* Contexts: what to send to a model, as Lua tables or as the JSON of a request's body. */
#include "arguments.h"
#include "json.h"
#include "push.h"

static void take_system(struct arguments *args, const struct field *field, void *slot) {
  convstore__lua_take_boolean(args, field, slot);
  *(bool *)slot = !*(bool *)slot;
}

static void take_format(struct arguments *args, const struct field *field, void *slot) {
  convstore_format *format = slot;
  convstore_text name = {NULL, 0};
  convstore__lua_take_text(args, field, &name);
  if (convstore__lua_same(name, "openai")) {
    *format = CONVSTORE_FORMAT_OPENAI;
  } else if (convstore__lua_same(name, "anthropic")) {
    *format = CONVSTORE_FORMAT_ANTHROPIC;
  } else {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s must be \"openai\" or \"anthropic\"",
                   field->name);
  }
}

static const struct field context_options[] = {
    FIELD("max_tokens", convstore__lua_take_integer, convstore_request, max_tokens),
    FIELD("max_messages", convstore__lua_take_integer, convstore_request, max_messages),
    FIELD("reserve", convstore__lua_take_integer, convstore_request, reserve),
    FIELD("system", take_system, convstore_request, no_system),
    FIELD("format", take_format, convstore_request, format),
    FIELDS_END,
};

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* The second result. */
static void push_account(lua_State *L, const convstore_context *context) {
  lua_createtable(L, 0, 6);
  set_integer(L, "tokens", context->tokens);
  set_integer(L, "messages", context->messages);
  set_integer(L, "dropped", context->dropped);
  if (context->first_seq > 0) set_integer(L, "first_seq", context->first_seq);
  lua_pushboolean(L, context->dropped > 0);
  lua_setfield(L, -2, "truncated");
  if (context->system.data != NULL) {
    lua_pushlstring(L, context->system.data, context->system.size);
    lua_setfield(L, -2, "system");
  }
}

static int push_array(lua_State *L, struct answer *answer, bool as_json, convstore_error *err) {
  const convstore_text *json = &answer->result.json;
  if (as_json) {
    lua_pushlstring(L, json->data, json->size);
    return CONVSTORE_OK;
  }
  if (json->data != NULL) return convstore__lua_json_push(L, answer, *json, "context", err);
  return convstore__lua_push_context(L, answer, err);
}

static int context(lua_State *L, bool as_json) {
  const struct conversation *conversation = convstore__lua_conversation(L, 1);
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_CONTEXT);
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  convstore_error err;
  request.as_json = as_json;
  convstore__lua_read_optional(&args, context_options, &request);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  struct answer *answer = convstore__lua_run(L, conversation->store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  int index = lua_gettop(L);
  int status = push_array(L, answer, as_json, &err);
  if (status == CONVSTORE_OK) push_account(L, &answer->result.context);
  convstore__lua_answer_done(L, index);
  return status == CONVSTORE_OK ? 2 : convstore__lua_fail(L, &err);
}

/* conv:context([options]) -> array of messages as an API takes them, and how it came about. */
static int l_context(lua_State *L) {
  return context(L, false);
}

/* conv:context_json([options]) -> the same array as one JSON text, and the same second result. */
static int l_context_json(lua_State *L) {
  return context(L, true);
}

const luaL_Reg convstore__lua_context_methods[] = {
    {"context", l_context}, {"context_json", l_context_json}, {NULL, NULL}};
