/* See pages.h. */
#include "pages.h"

#include <string.h>

#include "cursor.h"
#include "text.h"

static int write_cursor(struct convstore_call *call, const convstore_position *position) {
  return convstore__cursor_write(&call->result->cursor, call->request, position, call->result, call->err);
}

int convstore__page_listed(struct convstore_call *call) {
  convstore_result *result = call->result;
  size_t limit = (size_t)call->request->limit;
  if (result->n_listed <= limit) return CONVSTORE_OK;
  result->n_listed = limit;
  const convstore_conversation *last = &result->listed[limit - 1].conversation;
  convstore_position position = {
      .set = true, .time_ms = call->request->by_created ? last->created_at_ms : last->updated_at_ms};
  memcpy(position.id, last->id, sizeof position.id);
  return write_cursor(call, &position);
}

int convstore__page_messages(struct convstore_call *call) {
  convstore_result *result = call->result;
  size_t limit = (size_t)call->request->limit;
  if (result->n_messages <= limit) return CONVSTORE_OK;
  result->n_messages = limit;
  convstore_position position = {.set = true, .time_ms = result->messages[limit - 1].created_at_ms};
  memcpy(position.id, result->messages[limit - 1].id, sizeof position.id);
  memcpy(position.conversation_id, result->conversation_ids[limit - 1], sizeof position.conversation_id);
  return write_cursor(call, &position);
}

int convstore__page_users(struct convstore_call *call) {
  convstore_result *result = call->result;
  size_t limit = (size_t)call->request->limit;
  if (result->n_users <= limit) return CONVSTORE_OK;
  result->n_users = limit;
  const convstore_text *last = &result->users[limit - 1].user_id;
  convstore_position position = {.set = true, .n_user_id = last->size};
  if (last->size > sizeof position.user_id)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a stored user id is too long; restore a backup");
  memcpy(position.user_id, last->data, last->size);
  return write_cursor(call, &position);
}

void convstore__cut_preview(convstore_text *text) {
  if (text->data != NULL) text->size = convstore__utf8_cut(text->data, text->size, CONVSTORE_PREVIEW);
}
