/* What is made of the beginning of a conversation: a fork of it, and a summary that stands for it. */
#include "arguments.h"
#include "call.h"
#include "push.h"
#include "tokens.h"

static const struct field fork_fields[] = {
    FIELD("at", convstore__lua_take_integer, convstore_request, at),
    FIELD("id", convstore__lua_take_id, convstore_request, conversation.id),
    FIELD("title", convstore__lua_take_text, convstore_request, conversation.title),
    FIELD("key", convstore__lua_take_text, convstore_request, conversation.key),
    FIELD("metadata", convstore__lua_take_json, convstore_request, conversation.metadata),
    FIELDS_END,
};

/*
 * conv:fork([{ at=, id=, title=, key=, metadata= }]) -> a new conversation that begins with messages 1 ... at; the same
 * id again gives the same fork.
 */
static int l_fork(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  struct arguments args = {.L = L,
                           .arg = 2,
                           .noun = "field",
                           .null_is_absent = true,
                           .max_json = conversation->store->max_content_bytes};
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_FORK);
  struct answer *answer;
  lua_settop(L, 2);
  convstore__lua_read_optional(&args, fork_fields, &request);
  if (args.err.status != CONVSTORE_OK)
    return convstore__lua_fail_with_id(L, &args.err, request.conversation.id);
  answer = convstore__lua_run(L, conversation->store, &request, &args.err);
  if (answer == NULL) return convstore__lua_fail_with_id(L, &args.err, request.conversation.id);
  convstore__lua_push_conversation(L, 1, conversation->store, request.user_id, &answer->result.conversation);
  convstore__lua_answer_done(L, -2);
  return 1;
}

static const struct field summary_fields[] = {
    FIELD("through", convstore__lua_take_integer, convstore_request, through),
    FIELD("token_count", convstore__lua_take_integer, convstore_request, token_count),
    FIELD("metadata", convstore__lua_take_json, convstore_request, metadata),
    FIELDS_END,
};

/* The summary as count_tokens and a context see it: a system message. The text is at 2. */
static int64_t count_summary(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "system");
  lua_setfield(L, -2, "role");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "content");
  return convstore__lua_count_tokens(L);
}

/* conv:summarize(text [, { through=, token_count=, metadata= }]) -> the summary, as a table. */
static int l_summarize(lua_State *L) {
  struct conversation *conversation = convstore__lua_conversation(L, 1);
  struct arguments args = {.L = L,
                           .arg = 3,
                           .noun = "field",
                           .null_is_absent = true,
                           .max_json = conversation->store->max_content_bytes};
  convstore_request request = convstore__lua_request(conversation, CONVSTORE_SUMMARIZE);
  struct answer *answer;
  lua_settop(L, 3);
  request.text = convstore__lua_check_text(L, 2);
  convstore__lua_read_optional(&args, summary_fields, &request);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  if (conversation->store->counts_tokens && request.token_count == CONVSTORE_ABSENT) {
    request.token_count = count_summary(L);
  }
  answer = convstore__lua_run(L, conversation->store, &request, &args.err);
  if (answer == NULL) return convstore__lua_fail(L, &args.err);
  conversation->updated_at_ms = answer->result.summary.created_at_ms;
  return convstore__lua_push_summary(L, lua_gettop(L));
}

const luaL_Reg convstore__lua_fork_methods[] = {{"fork", l_fork}, {"summarize", l_summarize}, {NULL, NULL}};
