/* See context.h. */
#include "context.h"

#include <string.h>

#include "anthropic.h"
#include "context_json.h"

/* APIs refuse other names; the history keeps them. */
#define MAX_API_NAME 64

static int no_memory(const struct convstore_context_builder *builder) {
  return convstore_fail(builder->call->err, CONVSTORE_E_MEMORY, "no memory for a context");
}

static bool is_api_name(convstore_text name) {
  if (name.size < 1 || name.size > MAX_API_NAME) return false;
  for (size_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
  }
  return true;
}

/* A message with nothing but what an API takes of one. */
static convstore_message api_message(const convstore_message *message) {
  static const convstore_text absent = {NULL, 0};
  convstore_message copy = *message;
  if (!is_api_name(copy.name)) copy.name = absent;
  if (copy.role != CONVSTORE_ROLE_ASSISTANT) copy.tool_calls = absent;
  if (copy.role != CONVSTORE_ROLE_TOOL) copy.tool_call_id = absent;
  copy.attachments = absent;
  copy.metadata = absent;
  copy.updated_at_ms = CONVSTORE_ABSENT;
  return copy;
}

void convstore__context_start(struct convstore_context_builder *out, struct convstore_call *call,
                              int64_t last_seq, int64_t through) {
  if (through < 0) through = 0; /* damage, which must not reach the sums */
  *out = (struct convstore_context_builder){.call = call, .last_seq = last_seq, .through = through};
}

static int add_pinned(struct convstore_context_builder *builder, const convstore_message *message) {
  if (builder->n_pinned == builder->capacity) {
    size_t capacity = builder->capacity == 0 ? 4 : builder->capacity * 2;
    struct convstore_arena *arena = convstore__arena(builder->call->result);
    convstore_message *pinned =
        arena == NULL ? NULL : convstore__arena_alloc(arena, capacity * sizeof *pinned);
    if (pinned == NULL) return no_memory(builder);
    if (builder->n_pinned > 0) memcpy(pinned, builder->pinned, builder->n_pinned * sizeof *pinned);
    builder->pinned = pinned;
    builder->capacity = capacity;
  }
  builder->pinned[builder->n_pinned++] = api_message(message);
  builder->pinned_tokens = convstore__add_tokens(builder->pinned_tokens, message->token_count);
  return CONVSTORE_OK;
}

int convstore__context_pin(struct convstore_context_builder *builder, const convstore_message *message) {
  if (message->seq > builder->through) builder->n_system++;
  if (message->redacted_at_ms != CONVSTORE_ABSENT || !convstore__has_content(message)) return CONVSTORE_OK;
  return add_pinned(builder, message);
}

int convstore__context_summarize(struct convstore_context_builder *builder, convstore_text content,
                                 int64_t token_count) {
  convstore_message summary = CONVSTORE_MESSAGE_INIT;
  summary.role = CONVSTORE_ROLE_SYSTEM;
  summary.content = content;
  summary.token_count = token_count;
  return add_pinned(builder, &summary);
}

int convstore__context_open(struct convstore_context_builder *builder) {
  const convstore_request *request = builder->call->request;
  struct convstore_arena *arena = convstore__arena(builder->call->result);
  int64_t max_tokens = INT64_MAX;
  int64_t max_messages = request->max_messages == CONVSTORE_ABSENT ? INT64_MAX : request->max_messages;
  if (arena == NULL) return no_memory(builder);
  if (request->max_tokens != CONVSTORE_ABSENT) {
    max_tokens = request->max_tokens - request->reserve;
    if (builder->pinned_tokens > max_tokens)
      return convstore_fail(builder->call->err, CONVSTORE_E_TOO_LARGE,
                            "the system messages and the summary alone have %lld tokens and max_tokens leaves"
                            " room for %lld; raise max_tokens, lower reserve, or set system = false",
                            (long long)builder->pinned_tokens, (long long)max_tokens);
    max_tokens -= builder->pinned_tokens;
  }
  convstore__window_start(&builder->window, arena, builder->last_seq, max_tokens, max_messages);
  return CONVSTORE_OK;
}

int convstore__context_add(struct convstore_context_builder *builder, const convstore_message *message) {
  return convstore__window_add(&builder->window, message, builder->call->err);
}

/* Everything in the order in which it stands: oldest first, results directly behind their call. */
static convstore_message *lay_out(size_t *n_out, struct convstore_context_builder *builder) {
  const struct convstore_window *window = &builder->window;
  size_t n = builder->n_pinned + (size_t)window->n_messages;
  convstore_message *messages = convstore__arena_alloc(window->arena, n * sizeof *messages);
  if (messages == NULL) return NULL;
  if (builder->n_pinned > 0) memcpy(messages, builder->pinned, builder->n_pinned * sizeof *messages);
  convstore_message *at = messages + builder->n_pinned;
  for (size_t i = window->n_items; i-- > 0;) {
    const struct convstore_item *item = &window->items[i];
    *at++ = api_message(item->message);
    for (size_t k = 0; k < item->n_results; k++) *at++ = api_message(item->results[k]);
  }
  *n_out = n;
  return messages;
}

int convstore__context_finish(struct convstore_context_builder *builder) {
  convstore_result *result = builder->call->result;
  const convstore_request *request = builder->call->request;
  const struct convstore_window *window = &builder->window;
  convstore_context *context = &result->context;
  size_t n;
  int status = convstore__window_end(window, builder->call->err);
  if (status != CONVSTORE_OK) return status;
  convstore_message *messages = lay_out(&n, builder);
  if (messages == NULL) return no_memory(builder);

  *context = (convstore_context){.tokens = convstore__add_tokens(builder->pinned_tokens, window->tokens),
                                 .messages = (int64_t)n};
  int64_t n_included = window->n_messages;
  if (request->format == CONVSTORE_FORMAT_ANTHROPIC) {
    status = convstore__anthropic_write(&result->json, context, &n_included, messages, builder->n_pinned, n,
                                        window->arena, builder->call->err);
  } else {
    if (n > builder->n_pinned) context->first_seq = messages[builder->n_pinned].seq;
    if (request->as_json)
      status = convstore__context_json(&result->json, messages, n, window->arena, builder->call->err);
  }
  if (status != CONVSTORE_OK) return status;
  if (request->format == CONVSTORE_FORMAT_ANTHROPIC && window->is_full && n_included == 0)
    return convstore_fail(builder->call->err, CONVSTORE_E_TOO_LARGE,
                          "no message of a user's fits, and this API wants the first to be one; raise "
                          "max_tokens or max_messages, or lower reserve");
  int64_t n_dropped = builder->last_seq - builder->through - builder->n_system - n_included;
  context->dropped = n_dropped > 0 ? n_dropped : 0;
  if (request->format == CONVSTORE_FORMAT_OPENAI && !request->as_json) {
    result->messages = messages;
    result->n_messages = n;
  }
  return CONVSTORE_OK;
}
