/*
 * What a message may be. The database enforces sizes and shapes once more by CHECK constraints; here they get a
 * sentence.
 * JSON is parsed to be checked even when the Lua binding wrote it: a C caller's text is no better than a stranger's.
 */
#include "message.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "text.h"

static int rule_fail(struct convstore_rules *rules, int status, const char *field, const char *why) {
  if (rules->index > 0)
    return convstore_fail(rules->err, status, "message %zu: %s %s", rules->index, field, why);
  return convstore_fail(rules->err, status, "%s %s", field, why);
}

static int rule_size(struct convstore_rules *rules, convstore_text text, const char *field, size_t max,
                     int too_long) {
  char why[96];
  if (text.size <= max) return CONVSTORE_OK;
  (void)snprintf(why, sizeof why, "has %zu bytes; at most %zu are allowed", text.size, max);
  return rule_fail(rules, too_long, field, why);
}

static int rule_utf8(struct convstore_rules *rules, convstore_text text, const char *field) {
  char why[112];
  size_t bad = convstore__utf8_check(text.data, text.size);
  if (bad == text.size) return CONVSTORE_OK;
  (void)snprintf(why, sizeof why, "is not UTF-8 without NUL: byte %zu is 0x%02x; encode it first", bad + 1,
                 (unsigned)(unsigned char)text.data[bad]);
  return rule_fail(rules, CONVSTORE_E_INVALID, field, why);
}

int convstore__rule_identifier(struct convstore_rules *rules, convstore_text text, const char *field,
                               size_t max) {
  int status;
  if (text.data == NULL) return CONVSTORE_OK;
  if (text.size == 0) return rule_fail(rules, CONVSTORE_E_INVALID, field, "is empty; give at least one byte");
  status = rule_size(rules, text, field, max, CONVSTORE_E_INVALID);
  return status != CONVSTORE_OK ? status : rule_utf8(rules, text, field);
}

int convstore__rule_text(struct convstore_rules *rules, convstore_text *text, const char *field, size_t max,
                         int too_long) {
  int status;
  if (text->data == NULL) return CONVSTORE_OK;
  if (!rules->replace_text) {
    status = rule_size(rules, *text, field, max, too_long);
    return status != CONVSTORE_OK ? status : rule_utf8(rules, *text, field);
  }
  struct convstore_arena *arena = convstore__arena(rules->result);
  if (arena == NULL) return convstore_fail(rules->err, CONVSTORE_E_MEMORY, "no memory for %s", field);
  status = convstore__utf8_replace(text, arena);
  if (status != CONVSTORE_OK) return convstore_fail(rules->err, status, "no memory for %s", field);
  return rule_size(rules, *text, field, max, too_long);
}

int convstore__rule_time(struct convstore_rules *rules, int64_t time_ms, const char *field) {
  if (time_ms == CONVSTORE_ABSENT || (time_ms >= 0 && time_ms <= CONVSTORE_MAX_TIME_MS)) return CONVSTORE_OK;
  return rule_fail(rules, CONVSTORE_E_INVALID, field,
                   "is outside 1970-9999; give milliseconds since 1970-01-01 UTC");
}

/* The same, and what it parsed to: *out is owned. */
static int rule_json_parsed(json_t **out, struct convstore_rules *rules, convstore_text *text,
                            const char *field) {
  int status = convstore__rule_text(rules, text, field, rules->max_content, CONVSTORE_E_TOO_LARGE);
  if (status != CONVSTORE_OK) return status;
  return convstore__json_parse(out, *text, field, rules->err);
}

int convstore__rule_json(struct convstore_rules *rules, convstore_text *text, const char *field) {
  json_t *value = NULL;
  if (text->data == NULL) return CONVSTORE_OK;
  int status = rule_json_parsed(&value, rules, text, field);
  json_decref(value);
  return status;
}

/* Why one element of an array is wrong, or NULL. */
typedef const char *element_rule(const json_t *element);

static const char *part_rule(const json_t *part) {
  const char *type = json_string_value(json_object_get(part, "type"));
  if (type == NULL) return "has a part without a string \"type\"";
  if (strcmp(type, "tool_use") == 0) return "has a tool_use part; put the call into \"tool_calls\"";
  if (strcmp(type, "tool_result") == 0)
    return "has a tool_result part; append a message of role \"tool\" with \"tool_call_id\"";
  return NULL;
}

static const char *tool_call_rule(const json_t *tool_call) {
  const json_t *id = json_object_get(tool_call, "id");
  if (json_string_length(id) == 0) return "has a call without a string \"id\"";
  return NULL;
}

/* A decoder without integers, as lua-cjson is, makes 5 a 5.0. */
static bool is_size(const json_t *value) {
  if (json_is_integer(value)) return json_integer_value(value) >= 0;
  return json_is_real(value) && json_real_value(value) >= 0 && json_real_value(value) < 9007199254740992.0 &&
         json_real_value(value) == (double)(int64_t)json_real_value(value);
}

static const char *attachment_rule(const json_t *attachment) {
  static const char *const strings[] = {"url", "name", "mime_type", "sha256"};
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
    const json_t *value = json_object_get(attachment, strings[i]);
    if (value != NULL && !json_is_string(value) && !json_is_null(value))
      return "has an attachment whose url, name, mime_type or sha256 is no string";
  }
  const json_t *size = json_object_get(attachment, "size");
  if (size != NULL && !is_size(size) && !json_is_null(size))
    return "has an attachment whose size is no integer of bytes";
  return NULL;
}

/* A JSON array of objects that each keep `rule`. With `drop_empty` an empty array becomes absent. */
static int rule_array(struct convstore_rules *rules, convstore_text *text, const char *field,
                      element_rule *rule, bool drop_empty) {
  json_t *array = NULL;
  json_t *element;
  size_t i;
  if (text->data == NULL) return CONVSTORE_OK;
  int status = rule_json_parsed(&array, rules, text, field);
  if (status != CONVSTORE_OK) return status;
  if (!json_is_array(array)) {
    status = rule_fail(rules, CONVSTORE_E_INVALID, field, "is no array");
    goto done;
  }
  json_array_foreach(array, i, element) {
    const char *why = json_is_object(element) ? rule(element) : "has an element that is no object";
    if (why != NULL) {
      status = rule_fail(rules, CONVSTORE_E_INVALID, field, why);
      goto done;
    }
  }
  if (drop_empty && json_array_size(array) == 0) *text = (convstore_text){NULL, 0};

done:
  json_decref(array);
  return status;
}

/* A quarter of the bytes, rounded up: what English text costs, roughly. Tool calls alone count nothing. */
static int64_t estimate_tokens(const convstore_message *message) {
  size_t size = message->content.data != NULL ? message->content.size : message->parts.size;
  return (int64_t)((size + 3) / 4);
}

static int rule_fields(struct convstore_rules *rules, convstore_message *message) {
  int status =
      convstore__rule_text(rules, &message->content, "content", rules->max_content, CONVSTORE_E_TOO_LARGE);
  if (status == CONVSTORE_OK) status = rule_array(rules, &message->parts, "content", part_rule, false);
  if (status == CONVSTORE_OK)
    status = convstore__rule_text(rules, &message->name, "name", CONVSTORE_MAX_NAME, CONVSTORE_E_INVALID);
  if (status == CONVSTORE_OK)
    status = rule_array(rules, &message->tool_calls, "tool_calls", tool_call_rule, true);
  /* Replaced as the ids in tool_calls are, or a call and its result would come apart. */
  if (status == CONVSTORE_OK)
    status = convstore__rule_text(rules, &message->tool_call_id, "tool_call_id", CONVSTORE_MAX_TOOL_CALL_ID,
                                  CONVSTORE_E_INVALID);
  if (status == CONVSTORE_OK && message->tool_call_id.data != NULL && message->tool_call_id.size == 0)
    status = rule_fail(rules, CONVSTORE_E_INVALID, "tool_call_id", "is empty; give the id of the call");
  if (status == CONVSTORE_OK)
    status = rule_array(rules, &message->attachments, "attachments", attachment_rule, true);
  if (status == CONVSTORE_OK) status = convstore__rule_json(rules, &message->metadata, "metadata");
  if (status == CONVSTORE_OK) status = convstore__rule_time(rules, message->created_at_ms, "created_at");
  return status;
}

int convstore__rule_message(struct convstore_rules *rules, convstore_message *message) {
  if ((unsigned)message->role >= CONVSTORE_ROLES)
    return rule_fail(rules, CONVSTORE_E_INVALID, "role",
                     "is none of user, assistant, system, developer, tool");
  if (message->content.data != NULL && message->parts.data != NULL)
    return rule_fail(rules, CONVSTORE_E_INVALID, "content", "is given twice, as text and as parts; give one");

  int status = rule_fields(rules, message);
  if (status != CONVSTORE_OK) return status;

  if (message->content.data == NULL && message->parts.data == NULL && message->tool_calls.data == NULL &&
      message->attachments.data == NULL)
    return rule_fail(rules, CONVSTORE_E_INVALID, "content",
                     "is missing; give it, or tool_calls, or attachments");
  if (message->role == CONVSTORE_ROLE_TOOL && message->tool_call_id.data == NULL)
    return rule_fail(rules, CONVSTORE_E_INVALID, "tool_call_id",
                     "is missing; a tool message names the call it answers");
  if (message->token_count == CONVSTORE_ABSENT)
    message->token_count = estimate_tokens(message);
  else if (message->token_count < 0 || message->token_count > INT32_MAX)
    return rule_fail(rules, CONVSTORE_E_INVALID, "token_count", "is outside 0-2147483647");
  return CONVSTORE_OK;
}

int convstore__message_same(bool *same, const convstore_message *a, const convstore_message *b,
                            convstore_error *err) {
  const convstore_text *text_a = &a->content, *text_b = &b->content;
  *same = false;
  if (a->role != b->role || (text_a->data == NULL) != (text_b->data == NULL)) return CONVSTORE_OK;
  if (text_a->data != NULL)
    *same = text_a->size == text_b->size && memcmp(text_a->data, text_b->data, text_a->size) == 0;
  else if (a->parts.data != NULL && b->parts.data != NULL)
    return convstore__json_equal(same, a->parts, b->parts, err);
  else
    *same = a->parts.data == b->parts.data;
  return CONVSTORE_OK;
}
