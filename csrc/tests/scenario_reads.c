/* Forks, summaries, contexts, lists and usage; see scenario.h. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "scenario_parts.h"

#define FORK_ID "0190f5a8-0000-7000-8000-000000000010"   /* a new one */
#define FORKED_ID "0190f5a8-0000-7000-8000-000000000011" /* of LIVE_ID, there already */

static convstore_request request_of(convstore_operation operation, const char *conversation_id) {
  return scenario_request(operation, "alice", conversation_id);
}

/* ---- forks and summaries ---- */

static int fork_of(uint64_t *hash, convstore *store, const char *source, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_FORK, source);
  memcpy(request.conversation.id, FORK_ID, sizeof FORK_ID);
  request.conversation.title = scenario_text("A title of the fork's own, longer than the other");
  request.conversation.key = scenario_text("a key of its own");
  request.conversation.metadata = scenario_text("{\"forked\":[true,\"a value of some length\"]}");
  request.at = 5;
  return scenario_finish(hash, store, &request, err);
}

int scenario_fork(uint64_t *hash, convstore *store, convstore_error *err) {
  return fork_of(hash, store, CHAT_ID, err);
}

int scenario_fork_archived(uint64_t *hash, convstore *store, convstore_error *err) {
  return fork_of(hash, store, ARCHIVED_ID, err);
}

/* The one that is there already. */
int scenario_fork_again(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_FORK, LIVE_ID);
  memcpy(request.conversation.id, FORKED_ID, sizeof FORKED_ID);
  request.at = 2;
  return scenario_finish(hash, store, &request, err);
}

int scenario_summarize(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_SUMMARIZE, LIVE_ID);
  request.text = scenario_text("They spoke of a quick brown fox, and of a lazy dog.");
  request.metadata = scenario_text("{\"model\":\"one of some name\"}");
  request.through = 4;
  return scenario_finish(hash, store, &request, err);
}

/* ---- contexts ---- */

int scenario_context(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONTEXT, CHAT_ID);
  return scenario_finish(hash, store, &request, err);
}

/* There is room for the newest messages only. */
int scenario_context_of_tokens(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONTEXT, LIVE_ID);
  request.max_tokens = 400;
  request.reserve = 100;
  request.max_messages = 2;
  return scenario_finish(hash, store, &request, err);
}

int scenario_context_without_system(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONTEXT, CHAT_ID);
  request.no_system = true;
  return scenario_finish(hash, store, &request, err);
}

int scenario_context_archived(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONTEXT, ARCHIVED_ID);
  return scenario_finish(hash, store, &request, err);
}

static int json_of(uint64_t *hash, convstore *store, const char *id, convstore_format format,
                   convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONTEXT, id);
  request.as_json = true;
  request.format = format;
  return scenario_finish(hash, store, &request, err);
}

int scenario_context_openai_json(uint64_t *hash, convstore *store, convstore_error *err) {
  return json_of(hash, store, CHAT_ID, CONVSTORE_FORMAT_OPENAI, err);
}

int scenario_context_anthropic(uint64_t *hash, convstore *store, convstore_error *err) {
  return json_of(hash, store, CHAT_ID, CONVSTORE_FORMAT_ANTHROPIC, err);
}

int scenario_context_anthropic_live(uint64_t *hash, convstore *store, convstore_error *err) {
  return json_of(hash, store, LIVE_ID, CONVSTORE_FORMAT_ANTHROPIC, err);
}

/* ---- over all conversations ---- */

/* A page of a list, and with `behind` the one after it. */
static int pages_of(uint64_t *hash, convstore *store, convstore_request *request, bool behind,
                    convstore_error *err) {
  convstore_result first = {0};
  if (!behind) return scenario_finish(hash, store, request, err);
  int status = convstore_run(&first, store, request, err);
  if (status == CONVSTORE_OK) {
    request->cursor = first.cursor; /* absent, where damage leaves less than a page */
    status = scenario_finish(hash, store, request, err);
  }
  convstore_result_free(&first);
  return status;
}

int scenario_list(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_LIST, "");
  request.mark_only = true;
  request.mark = CONVSTORE_MARK_ACTIVE;
  return scenario_finish(hash, store, &request, err);
}

int scenario_list_behind(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_LIST, "");
  request.limit = 1;
  request.deleted_filter = CONVSTORE_DELETED_ANY;
  return pages_of(hash, store, &request, true, err);
}

int scenario_list_created(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_LIST, "");
  request.by_created = true;
  request.deleted_filter = CONVSTORE_DELETED_ANY;
  return scenario_finish(hash, store, &request, err);
}

int scenario_list_deleted(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_LIST, "");
  request.deleted_filter = CONVSTORE_DELETED_ONLY;
  return scenario_finish(hash, store, &request, err);
}

int scenario_list_created_deleted(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_LIST, "");
  request.by_created = true;
  request.deleted_filter = CONVSTORE_DELETED_ONLY;
  return scenario_finish(hash, store, &request, err);
}

int scenario_messages(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MESSAGES, "");
  return scenario_finish(hash, store, &request, err);
}

int scenario_messages_behind(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MESSAGES, "");
  request.limit = 5;
  request.roles = 1U << CONVSTORE_ROLE_USER | 1U << CONVSTORE_ROLE_ASSISTANT;
  return pages_of(hash, store, &request, true, err);
}

static int usage_by(uint64_t *hash, convstore *store, convstore_by by, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_USAGE, "");
  request.by = by;
  return scenario_finish(hash, store, &request, err);
}

int scenario_usage_by_role(uint64_t *hash, convstore *store, convstore_error *err) {
  return usage_by(hash, store, CONVSTORE_BY_ROLE, err);
}

int scenario_usage_by_day(uint64_t *hash, convstore *store, convstore_error *err) {
  return usage_by(hash, store, CONVSTORE_BY_DAY, err);
}

int scenario_usage_by_conversation(uint64_t *hash, convstore *store, convstore_error *err) {
  return usage_by(hash, store, CONVSTORE_BY_CONVERSATION, err);
}

/* ---- the database ---- */

static const struct {
  convstore_role role;
  const char *content;
  const char *parts;
  const char *tool_calls;
  const char *tool_call_id;
} chat[] = {
    {CONVSTORE_ROLE_SYSTEM, "You answer in one sentence.", NULL, NULL, NULL},
    {CONVSTORE_ROLE_USER, NULL,
     "[{\"type\":\"text\",\"text\":\"What is on this \\\"picture\\\"?\"},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==\"}},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"https://example.org/a/rather/long/path.png\"}}]",
     NULL, NULL},
    {CONVSTORE_ROLE_ASSISTANT, "A fox & a dog.", NULL, NULL, NULL},
    {CONVSTORE_ROLE_USER, "What is the weather in Oslo, and in Bergen?", NULL, NULL, NULL},
    {CONVSTORE_ROLE_ASSISTANT, NULL, NULL,
     "[{\"id\":\"call_of_oslo\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":"
     "\"{\\\"city\\\":\\\"Oslo\\\",\\\"days\\\":[1,2.5e30],\\\"deep\\\":{\\\"exact\\\":true}}\"}},"
     "{\"id\":\"call_of_bergen\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":"
     "\"no object\"}}]",
     NULL},
    {CONVSTORE_ROLE_TOOL, "Rain, as ever", NULL, NULL, "call_of_bergen"},
    {CONVSTORE_ROLE_TOOL, NULL, "[{\"type\":\"text\",\"text\":\"Snow\"}]", NULL, "call_of_oslo"},
    {CONVSTORE_ROLE_DEVELOPER, NULL, "[{\"type\":\"text\",\"text\":\"Mention an umbrella.\"}]", NULL, NULL},
    {CONVSTORE_ROLE_ASSISTANT, "Snow in Oslo, rain in Bergen; take an umbrella.", NULL, NULL, NULL},
    {CONVSTORE_ROLE_USER, "Thanks!\n\xF0\x9F\x98\x80 \x01", NULL, NULL, NULL},
};

void scenario_make_chat(convstore *store) {
  enum {
    N = sizeof chat / sizeof *chat
  };
  convstore_message messages[N];
  convstore_request request = request_of(CONVSTORE_APPEND, CHAT_ID);
  uint64_t ignored;
  scenario_create(store, "alice", CHAT_ID, "telegram:9");
  for (size_t i = 0; i < N; i++) {
    messages[i] = (convstore_message)CONVSTORE_MESSAGE_INIT;
    (void)snprintf(messages[i].id, sizeof messages[i].id, "0190f5a8-0000-7000-9001-%012zu", i);
    messages[i].role = chat[i].role;
    messages[i].created_at_ms = INT64_C(1769900000000) + (int64_t)i * 86400000;
    if (chat[i].content) messages[i].content = scenario_text(chat[i].content);
    if (chat[i].parts) messages[i].parts = scenario_text(chat[i].parts);
    if (chat[i].tool_calls) messages[i].tool_calls = scenario_text(chat[i].tool_calls);
    if (chat[i].tool_call_id) messages[i].tool_call_id = scenario_text(chat[i].tool_call_id);
  }
  request.messages = messages;
  request.n_messages = N;
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);

  request = request_of(CONVSTORE_SUMMARIZE, CHAT_ID);
  request.text = scenario_text("They looked at a picture of a fox.");
  request.through = 2;
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);

  request = request_of(CONVSTORE_FORK, LIVE_ID);
  memcpy(request.conversation.id, FORKED_ID, sizeof FORKED_ID);
  request.at = 2;
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);
}
