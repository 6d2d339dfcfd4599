/*
 * Messages as a caller gives them, and contexts made of them. Each line of the input is a message: a letter for its
 * role, one for what follows, and tab-separated fields. What the rules let pass is UTF-8 within the limits and JSON for
 * jansson as well; a context of it is JSON of the shape that its API takes.
 */
#include "../core/anthropic.h"
#include "../core/context_json.h"
#include "../core/json.h"
#include "../core/message.h"
#include "../core/plain.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
  MOST_MESSAGES = 12,
  MAX_CONTENT = 4096
};

static convstore_text field(convstore_text *line) {
  const char *tab = memchr(line->data, '\t', line->size);
  convstore_text out = {line->data, tab ? (size_t)(tab - line->data) : line->size};
  size_t n = out.size + (tab != NULL);
  line->data += n;
  line->size -= n;
  return out;
}

/* "ROLE KINDS" and then a field for each letter of KINDS, up to the first tab. */
static void read_message(convstore_message *out, convstore_text line) {
  static const char roles[] = "uasdt";
  *out = (convstore_message)CONVSTORE_MESSAGE_INIT;
  const char *role = line.size > 0 && line.data[0] != '\0' ? strchr(roles, line.data[0]) : NULL;
  out->role = role ? (convstore_role)(role - roles) : (convstore_role)(line.size % CONVSTORE_ROLES);
  convstore_text kinds = field(&line);
  for (size_t i = 1; i < kinds.size; i++) {
    switch (kinds.data[i]) {
    case 'c':
      out->content = field(&line);
      break;
    case 'p':
      out->parts = field(&line);
      break;
    case 'n':
      out->name = field(&line);
      break;
    case 'k':
      out->tool_calls = field(&line);
      break;
    case 'i':
      out->tool_call_id = field(&line);
      break;
    case 'a':
      out->attachments = field(&line);
      break;
    case 'm':
      out->metadata = field(&line);
      break;
    default:
      break;
    }
  }
}

static void check_json(convstore_text text, bool array) {
  if (text.data == NULL) return;
  json_t *value = json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
  FUZZ_CHECK(value != NULL && (!array || json_is_array(value)));
  json_decref(value);
}

static void check_message(const convstore_message *message) {
  const convstore_text texts[] = {message->content,    message->parts,        message->name,
                                  message->tool_calls, message->tool_call_id, message->attachments,
                                  message->metadata};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].data != NULL) FUZZ_CHECK(fuzz_is_utf8(texts[i]) && texts[i].size <= MAX_CONTENT);
  check_json(message->parts, true);
  check_json(message->tool_calls, true);
  check_json(message->attachments, true);
  check_json(message->metadata, false);
  FUZZ_CHECK(message->role != CONVSTORE_ROLE_TOOL || message->tool_call_id.size > 0);
  FUZZ_CHECK(message->token_count >= 0 && message->token_count <= INT32_MAX);

  convstore_text plain;
  char *owned = NULL;
  bool same = false;
  FUZZ_CHECK(convstore__plain(&plain, &owned, message->content, message->parts, NULL) == CONVSTORE_OK);
  FUZZ_CHECK(plain.data == NULL || fuzz_is_utf8(plain));
  free(owned);
  FUZZ_CHECK(convstore__message_same(&same, message, message, NULL) == CONVSTORE_OK && same);
}

static bool same_string(const json_t *value, const char *string) {
  return json_is_string(value) && strcmp(json_string_value(value), string) == 0;
}

static void check_openai(const convstore_message *messages, size_t n, struct convstore_arena *arena) {
  convstore_text text = {NULL, 0};
  FUZZ_CHECK(convstore__context_json(&text, messages, n, arena, NULL) == CONVSTORE_OK);
  json_t *array = json_loadb(text.data, text.size, 0, NULL);
  FUZZ_CHECK(json_is_array(array) && json_array_size(array) == n);
  for (size_t i = 0; i < n; i++) {
    const json_t *element = json_array_get(array, i), *content = json_object_get(element, "content");
    FUZZ_CHECK(same_string(json_object_get(element, "role"), convstore_role_name(messages[i].role)));
    FUZZ_CHECK((content != NULL) == (messages[i].content.data != NULL || messages[i].parts.data != NULL));
    if (messages[i].content.data != NULL)
      FUZZ_CHECK(json_string_length(content) == messages[i].content.size &&
                 memcmp(json_string_value(content), messages[i].content.data, messages[i].content.size) == 0);
  }
  json_decref(array);
}

static void check_blocks(const json_t *blocks, bool assistant) {
  size_t i;
  json_t *block;
  FUZZ_CHECK(json_is_array(blocks));
  json_array_foreach(blocks, i, block) {
    const json_t *type = json_object_get(block, "type");
    FUZZ_CHECK(json_is_object(block) && json_is_string(type));
    FUZZ_CHECK(!assistant || !same_string(type, "tool_result"));
    if (same_string(type, "tool_use")) {
      FUZZ_CHECK(json_is_string(json_object_get(block, "id")) &&
                 json_is_string(json_object_get(block, "name")));
      FUZZ_CHECK(json_is_object(json_object_get(block, "input")));
    }
  }
}

static void check_anthropic(const convstore_message *messages, size_t n_pinned, size_t n,
                            struct convstore_arena *arena) {
  convstore_text text = {NULL, 0};
  convstore_context context;
  int64_t n_included = -1;
  convstore_error err = {0};
  int status = convstore__anthropic_write(&text, &context, &n_included, messages, n_pinned, n, arena, &err);
  FUZZ_CHECK(status == CONVSTORE_OK);
  FUZZ_CHECK(n_included >= 0 && (size_t)n_included <= n - n_pinned);
  FUZZ_CHECK(context.system.data == NULL || fuzz_is_utf8(context.system));
  json_t *array = json_loadb(text.data, text.size, 0, NULL);
  FUZZ_CHECK(json_is_array(array) && (int64_t)json_array_size(array) == context.messages);
  size_t i;
  json_t *turn;
  json_array_foreach(array, i, turn) {
    const json_t *content = json_object_get(turn, "content"), *role = json_object_get(turn, "role");
    /* A user's turn first, and then by turns. */
    FUZZ_CHECK(same_string(role, i % 2 == 0 ? "user" : "assistant"));
    if (!json_is_string(content)) check_blocks(content, i % 2 == 1);
  }
  json_decref(array);
}

/* As a damaged database gives them, past all rules: what is no JSON is said, not believed. */
static void check_damaged(const convstore_message *messages, size_t n, struct convstore_arena *arena) {
  convstore_text text = {NULL, 0};
  convstore_context context;
  int64_t n_included = 0;
  convstore_error err = {0};
  int status = convstore__anthropic_write(&text, &context, &n_included, messages, 0, n, arena, &err);
  if (status == CONVSTORE_OK) return;
  FUZZ_CHECK(status == CONVSTORE_E_CORRUPT);
  fuzz_check_error(status, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  convstore_result result = {.n_messages = 0};
  struct convstore_arena *arena = convstore__arena(&result);
  convstore_message raw[MOST_MESSAGES], good[MOST_MESSAGES];
  size_t n = 0, n_good = 0, n_pinned = 0;
  bool replace = fuzz_byte(&input) == 'r';
  char *copy = fuzz_exact((convstore_text){input.at, input.left});
  input.at = copy;
  for (; n < MOST_MESSAGES && input.left > 0; n++) {
    convstore_error err = {0};
    struct convstore_rules rules = {
        .max_content = MAX_CONTENT, .replace_text = replace, .result = &result, .err = &err};
    read_message(&raw[n], fuzz_line(&input));
    convstore_message message = raw[n];
    int status = convstore__rule_message(&rules, &message);
    if (status == CONVSTORE_OK) {
      check_message(&message);
      message.seq = (int64_t)n + 1;
      good[n_good++] = message;
    } else {
      FUZZ_CHECK(status == CONVSTORE_E_INVALID || status == CONVSTORE_E_TOO_LARGE);
      fuzz_check_error(status, &err);
    }
  }
  check_openai(good, n_good, arena);
  while (n_pinned < n_good && good[n_pinned].role == CONVSTORE_ROLE_SYSTEM) n_pinned++;
  check_anthropic(good, n_pinned, n_good, arena);
  for (size_t i = 0; i < n; i++) raw[i].token_count = 1;
  check_damaged(raw, n, arena);
  convstore_result_free(&result);
  free(copy);
  return 0;
}
