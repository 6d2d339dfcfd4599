/*
 * See anthropic.h. That API wants turns that alternate and begin with the user's, the results of a turn first in the
 * one behind it, calls and results as blocks, and no empty text.
 */
#include "anthropic.h"

#include <string.h>
#include <strings.h>

#include "json_write.h"
#include "window.h"

/* A message with its stored JSON parsed. */
struct piece {
  const convstore_message *message;
  json_t *parts; /* owned; NULL: none */
  json_t *calls; /* owned; NULL: none */
  bool is_gone;  /* nothing of it is left, or nothing may stand there */
};

/* ---- what there is to say -------------------------------------------------------------------------------------- */

/* The API takes a text of nothing but white space for an empty one. */
static bool is_blank(const char *data, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (data[i] != ' ' && (data[i] < '\t' || data[i] > '\r')) return false;
  return true;
}

static bool is_of_type(const json_t *part, const char *type) {
  const char *actual = json_string_value(json_object_get(part, "type"));
  return actual != NULL && strcmp(actual, type) == 0;
}

static bool is_blank_part(const json_t *part) {
  const json_t *text = json_object_get(part, "text");
  return is_of_type(part, "text") && is_blank(json_string_value(text), json_string_length(text));
}

static bool says_something(const struct piece *piece) {
  size_t i;
  json_t *part;
  if (!is_blank(piece->message->content.data, piece->message->content.size)) return true;
  json_array_foreach(piece->parts, i, part) {
    if (!is_blank_part(part)) return true;
  }
  return false;
}

static int parse(json_t **out, convstore_text text, const char *field, const convstore_message *message,
                 convstore_error *err) {
  int status = text.data == NULL ? CONVSTORE_OK : convstore__json_parse(out, text, field, err);
  if (status != CONVSTORE_E_INVALID) return status;
  return convstore_fail(err, CONVSTORE_E_CORRUPT, "the %s of message %lld is no JSON; restore a backup",
                        field, (long long)message->seq);
}

static int read_piece(struct piece *piece, const convstore_message *message, convstore_error *err) {
  piece->message = message;
  int status = parse(&piece->parts, message->parts, "content", message, err);
  if (status == CONVSTORE_OK) status = parse(&piece->calls, message->tool_calls, "tool_calls", message, err);
  if (status != CONVSTORE_OK) return status;
  piece->is_gone =
      message->role != CONVSTORE_ROLE_TOOL && json_array_size(piece->calls) == 0 && !says_something(piece);
  return CONVSTORE_OK;
}

static bool is_assistant(const struct piece *piece) {
  return piece->message->role == CONVSTORE_ROLE_ASSISTANT;
}

/* The array begins with a user's message: what an assistant said before it goes, the results of its calls with it. */
static void drop_leading(struct piece *pieces, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (pieces[i].is_gone) continue;
    if (!is_assistant(&pieces[i])) return;
    pieces[i].is_gone = true;
    for (size_t k = i + 1; k < n && pieces[k].message->role == CONVSTORE_ROLE_TOOL; k++)
      pieces[k].is_gone = true;
  }
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

static convstore_text string_of(const json_t *value) {
  return (convstore_text){json_string_value(value), json_string_length(value)};
}

/* "data:TYPE;...;base64,DATA" */
static bool split_data_url(convstore_text *type, convstore_text *data, convstore_text url) {
  static const char scheme[] = "data:";
  static const char encoding[] = ";base64";
  const size_t n_scheme = sizeof scheme - 1;
  const size_t n_encoding = sizeof encoding - 1;
  if (url.size < n_scheme || strncasecmp(url.data, scheme, n_scheme) != 0) return false;
  const char *begin = url.data + n_scheme;
  const char *end = url.data + url.size;
  const char *comma = memchr(begin, ',', (size_t)(end - begin));
  if (comma == NULL || (size_t)(comma - begin) <= n_encoding ||
      strncasecmp(comma - n_encoding, encoding, n_encoding) != 0)
    return false;
  const char *semicolon = memchr(begin, ';', (size_t)(comma - begin));
  *type = (convstore_text){begin, (size_t)(semicolon - begin)};
  *data = (convstore_text){comma + 1, (size_t)(end - comma - 1)};
  return type->size > 0;
}

static void write_image(struct convstore_writer *writer, convstore_text url) {
  convstore_text type;
  convstore_text data;
  if (split_data_url(&type, &data, url)) {
    CONVSTORE_WRITE(writer, "{\"source\":{\"data\":");
    convstore__write_string(writer, data);
    CONVSTORE_WRITE(writer, ",\"media_type\":");
    convstore__write_string(writer, type);
    CONVSTORE_WRITE(writer, ",\"type\":\"base64\"},\"type\":\"image\"}");
  } else {
    CONVSTORE_WRITE(writer, "{\"source\":{\"type\":\"url\",\"url\":");
    convstore__write_string(writer, url);
    CONVSTORE_WRITE(writer, "},\"type\":\"image\"}");
  }
}

/* Blocks between commas. */
struct blocks {
  struct convstore_writer *writer;
  size_t n;
};

static void begin_block(struct blocks *blocks) {
  if (blocks->n++ > 0) CONVSTORE_WRITE(blocks->writer, ",");
}

static void write_part(struct blocks *blocks, json_t *part) {
  if (is_blank_part(part)) return;
  begin_block(blocks);
  const json_t *image = is_of_type(part, "image_url") ? json_object_get(part, "image_url") : NULL;
  convstore_text url = string_of(json_is_object(image) ? json_object_get(image, "url") : image);
  if (url.data != NULL)
    write_image(blocks->writer, url);
  else
    convstore__write_value(blocks->writer, part);
}

static void write_parts(struct blocks *blocks, const json_t *parts) {
  size_t i;
  json_t *part;
  json_array_foreach(parts, i, part) {
    write_part(blocks, part);
  }
}

static void write_content(struct blocks *blocks, const struct piece *piece) {
  convstore_text content = piece->message->content;
  if (!is_blank(content.data, content.size)) {
    begin_block(blocks);
    CONVSTORE_WRITE(blocks->writer, "{\"text\":");
    convstore__write_string(blocks->writer, content);
    CONVSTORE_WRITE(blocks->writer, ",\"type\":\"text\"}");
  }
  write_parts(blocks, piece->parts);
}

static void write_result(struct blocks *blocks, const struct piece *piece) {
  struct convstore_writer *writer = blocks->writer;
  const convstore_message *message = piece->message;
  begin_block(blocks);
  CONVSTORE_WRITE(writer, "{");
  if (!is_blank(message->content.data, message->content.size)) {
    CONVSTORE_WRITE(writer, "\"content\":");
    convstore__write_string(writer, message->content);
    CONVSTORE_WRITE(writer, ",");
  } else if (says_something(piece)) {
    struct blocks inner = {writer, 0};
    CONVSTORE_WRITE(writer, "\"content\":[");
    write_parts(&inner, piece->parts);
    CONVSTORE_WRITE(writer, "],");
  }
  CONVSTORE_WRITE(writer, "\"tool_use_id\":");
  convstore__write_string(writer, message->tool_call_id);
  CONVSTORE_WRITE(writer, ",\"type\":\"tool_result\"}");
}

/* The arguments as an object: theirs, or one around their text. */
static int write_input(struct convstore_writer *writer, json_t *arguments, convstore_error *err) {
  convstore_text text = string_of(arguments);
  json_t *value = NULL;
  if (arguments == NULL) {
    CONVSTORE_WRITE(writer, "{}");
    return CONVSTORE_OK;
  }
  int status =
      text.data == NULL ? CONVSTORE_OK : convstore__json_parse_lenient(&value, text, "arguments", err);
  if (status == CONVSTORE_E_MEMORY) return status;
  if (json_is_object(value) || json_is_object(arguments)) {
    convstore__write_value(writer, value != NULL ? value : arguments);
  } else {
    CONVSTORE_WRITE(writer, "{\"arguments\":");
    convstore__write_value(writer, arguments);
    CONVSTORE_WRITE(writer, "}");
  }
  json_decref(value);
  return CONVSTORE_OK;
}

static int write_call(struct convstore_writer *writer, const json_t *call, convstore_error *err) {
  const json_t *function = json_object_get(call, "function");
  convstore_text name = string_of(json_object_get(function, "name"));
  if (name.data == NULL) name = (convstore_text){"unknown", strlen("unknown")};
  CONVSTORE_WRITE(writer, "{\"id\":");
  convstore__write_string(writer, string_of(json_object_get(call, "id")));
  CONVSTORE_WRITE(writer, ",\"input\":");
  int status = write_input(writer, json_object_get(function, "arguments"), err);
  CONVSTORE_WRITE(writer, ",\"name\":");
  convstore__write_string(writer, name);
  CONVSTORE_WRITE(writer, ",\"type\":\"tool_use\"}");
  return status;
}

/* An id that stands twice in one message is one call: the API refuses a second. */
static int write_calls(struct blocks *blocks, const json_t *calls, convstore_error *err) {
  size_t i;
  const json_t *call;
  int status = CONVSTORE_OK;
  json_t *seen = json_object();
  json_array_foreach(calls, i, call) {
    const char *id = json_string_value(json_object_get(call, "id"));
    if (id == NULL || json_object_get(seen, id) != NULL) continue;
    if (json_object_set_new(seen, id, json_true()) != 0)
      status = convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a context");
    if (status != CONVSTORE_OK) break;
    begin_block(blocks);
    status = write_call(blocks->writer, call, err);
    if (status != CONVSTORE_OK) break;
  }
  json_decref(seen);
  return status;
}

/* ---- turns ----------------------------------------------------------------------------------------------------- */

/* Writes the turn that begins with pieces[i] and returns in *end where it ends. */
static int write_turn(size_t *end, struct convstore_writer *writer, const struct piece *pieces, size_t i,
                      size_t n, convstore_error *err) {
  struct blocks blocks = {writer, 0};
  bool assistant = is_assistant(&pieces[i]);
  bool single = true;
  int status = CONVSTORE_OK;
  for (*end = i + 1; *end < n && (pieces[*end].is_gone || is_assistant(&pieces[*end]) == assistant); ++*end)
    single = single && pieces[*end].is_gone;
  const convstore_message *first = pieces[i].message;
  CONVSTORE_WRITE(writer, "{\"content\":");
  if (single && first->content.data != NULL && first->role != CONVSTORE_ROLE_TOOL &&
      pieces[i].calls == NULL) {
    convstore__write_string(writer, first->content);
  } else {
    CONVSTORE_WRITE(writer, "[");
    for (; i < *end && status == CONVSTORE_OK; i++) {
      if (pieces[i].is_gone) continue;
      if (pieces[i].message->role == CONVSTORE_ROLE_TOOL)
        write_result(&blocks, &pieces[i]);
      else
        write_content(&blocks, &pieces[i]);
      if (pieces[i].calls != NULL) status = write_calls(&blocks, pieces[i].calls, err);
    }
    CONVSTORE_WRITE(writer, "]");
  }
  if (assistant)
    CONVSTORE_WRITE(writer, ",\"role\":\"assistant\"}");
  else
    CONVSTORE_WRITE(writer, ",\"role\":\"user\"}");
  return status;
}

static int write_turns(struct convstore_writer *writer, convstore_context *context, int64_t *n_included,
                       const struct piece *pieces, size_t n, convstore_error *err) {
  int status = CONVSTORE_OK;
  CONVSTORE_WRITE(writer, "[");
  for (size_t i = 0; i < n; i++) {
    if (pieces[i].is_gone) continue;
    ++*n_included;
    context->tokens = convstore__add_tokens(context->tokens, pieces[i].message->token_count);
    if (context->first_seq == 0) context->first_seq = pieces[i].message->seq;
  }
  for (size_t i = 0; i < n && status == CONVSTORE_OK;) {
    if (pieces[i].is_gone) {
      i++;
      continue;
    }
    if (context->messages++ > 0) CONVSTORE_WRITE(writer, ",");
    status = write_turn(&i, writer, pieces, i, n, err);
  }
  CONVSTORE_WRITE(writer, "]");
  return status;
}

/* ---- system text ----------------------------------------------------------------------------------------------- */

static void write_system_piece(struct convstore_writer *writer, const struct piece *piece) {
  bool first = true;
  size_t i;
  json_t *part;
  if (writer->size > 0) CONVSTORE_WRITE(writer, "\n\n");
  convstore__write(writer, piece->message->content.data, piece->message->content.size);
  json_array_foreach(piece->parts, i, part) {
    convstore_text text = string_of(json_object_get(part, "text"));
    if (is_blank(text.data, text.size)) continue;
    if (!first) CONVSTORE_WRITE(writer, "\n");
    first = false;
    convstore__write(writer, text.data, text.size);
  }
}

/* Whether it has text: images cannot be system text. */
static bool has_text(const struct piece *piece) {
  size_t i;
  json_t *part;
  if (!is_blank(piece->message->content.data, piece->message->content.size)) return true;
  json_array_foreach(piece->parts, i, part) {
    convstore_text text = string_of(json_object_get(part, "text"));
    if (!is_blank(text.data, text.size)) return true;
  }
  return false;
}

static void write_system(struct convstore_writer *writer, convstore_context *context,
                         const struct piece *pieces, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!has_text(&pieces[i])) continue;
    write_system_piece(writer, &pieces[i]);
    context->tokens = convstore__add_tokens(context->tokens, pieces[i].message->token_count);
  }
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

/* What the texts take, and some for what stands around them. */
static size_t expected_size(const convstore_message *messages, size_t n) {
  size_t size = 256;
  for (size_t i = 0; i < n; i++)
    size += 64 + messages[i].content.size + messages[i].content.size / 16 + messages[i].parts.size +
            messages[i].tool_calls.size;
  return size;
}

int convstore__anthropic_write(convstore_text *out, convstore_context *context, int64_t *n_included,
                               const convstore_message *messages, size_t n_pinned, size_t n,
                               struct convstore_arena *arena, convstore_error *err) {
  struct convstore_writer json;
  struct convstore_writer system;
  size_t n_read = 0;
  int status = CONVSTORE_OK;
  struct piece *pieces = convstore__arena_alloc(arena, n * sizeof *pieces);
  convstore__write_start(&json, arena, expected_size(messages + n_pinned, n - n_pinned));
  convstore__write_start(&system, arena, expected_size(messages, n_pinned));
  if (pieces == NULL || json.failed || system.failed)
    return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a context");
  *context = (convstore_context){.tokens = 0};
  *n_included = 0;

  for (; n_read < n && status == CONVSTORE_OK; n_read++) {
    pieces[n_read] = (struct piece){.message = NULL};
    status = read_piece(&pieces[n_read], &messages[n_read], err);
  }
  if (status == CONVSTORE_OK) {
    drop_leading(pieces + n_pinned, n - n_pinned);
    write_system(&system, context, pieces, n_pinned);
    status = write_turns(&json, context, n_included, pieces + n_pinned, n - n_pinned, err);
  }
  for (size_t i = 0; i < n_read; i++) {
    json_decref(pieces[i].parts);
    json_decref(pieces[i].calls);
  }
  if (status != CONVSTORE_OK) return status;
  if (json.failed || system.failed) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a context");
  *out = convstore__written(&json);
  if (system.size > 0) context->system = convstore__written(&system);
  return CONVSTORE_OK;
}
