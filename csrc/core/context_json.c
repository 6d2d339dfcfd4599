/*
 * See context_json.h. Written straight from the stored texts: a request's body needs no Lua table. Keys stand in the
 * order of their bytes, as the encoder of Lua tables writes them.
 */
#include "context_json.h"

#include <string.h>

#include "json_write.h"

/* What stands around the texts of one message at most. */
#define FRAME 96

/* A guess that is mostly enough: one byte in 16 is escaped. */
static size_t expected_size(const convstore_message *messages, size_t n) {
  size_t size = 16;
  for (size_t i = 0; i < n; i++) {
    const convstore_message *message = &messages[i];
    size += FRAME + message->content.size + message->content.size / 16 + message->parts.size +
            message->name.size + message->tool_calls.size + message->tool_call_id.size;
  }
  return size;
}

static void write_message(struct convstore_writer *writer, const convstore_message *message) {
  const char *role = convstore_role_name(message->role);
  CONVSTORE_WRITE(writer, "{");
  if (message->content.data != NULL) {
    CONVSTORE_WRITE(writer, "\"content\":");
    convstore__write_string(writer, message->content);
    CONVSTORE_WRITE(writer, ",");
  } else if (message->parts.data != NULL) {
    CONVSTORE_WRITE(writer, "\"content\":");
    convstore__write(writer, message->parts.data, message->parts.size);
    CONVSTORE_WRITE(writer, ",");
  }
  if (message->name.data != NULL) {
    CONVSTORE_WRITE(writer, "\"name\":");
    convstore__write_string(writer, message->name);
    CONVSTORE_WRITE(writer, ",");
  }
  CONVSTORE_WRITE(writer, "\"role\":\"");
  convstore__write(writer, role, strlen(role));
  CONVSTORE_WRITE(writer, "\"");
  if (message->tool_call_id.data != NULL) {
    CONVSTORE_WRITE(writer, ",\"tool_call_id\":");
    convstore__write_string(writer, message->tool_call_id);
  }
  if (message->tool_calls.data != NULL) {
    CONVSTORE_WRITE(writer, ",\"tool_calls\":");
    convstore__write(writer, message->tool_calls.data, message->tool_calls.size);
  }
  CONVSTORE_WRITE(writer, "}");
}

int convstore__context_json(convstore_text *out, const convstore_message *messages, size_t n,
                            struct convstore_arena *arena, convstore_error *err) {
  struct convstore_writer writer;
  convstore__write_start(&writer, arena, expected_size(messages, n));
  CONVSTORE_WRITE(&writer, "[");
  for (size_t i = 0; i < n; i++) {
    if (i > 0) CONVSTORE_WRITE(&writer, ",");
    write_message(&writer, &messages[i]);
  }
  CONVSTORE_WRITE(&writer, "]");
  if (writer.failed) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a context");
  *out = convstore__written(&writer);
  return CONVSTORE_OK;
}
