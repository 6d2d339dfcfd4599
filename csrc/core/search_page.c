/* See search_page.h. */
#include "search_page.h"

#include <string.h>

#include "arena.h"
#include "cursor.h"

int convstore__search_page(convstore_result *result, size_t n, convstore_error *err) {
  struct convstore_arena *arena = convstore__arena(result);
  result->n_messages = 0;
  result->cursor = (convstore_text){NULL, 0};
  if (arena == NULL) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a page of hits");
  result->messages = convstore__arena_alloc(arena, n * sizeof *result->messages);
  result->conversation_ids = convstore__arena_alloc(arena, n * sizeof *result->conversation_ids);
  result->hits = convstore__arena_alloc(arena, n * sizeof *result->hits);
  if (result->messages != NULL && result->conversation_ids != NULL && result->hits != NULL)
    return CONVSTORE_OK;
  return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a page of hits");
}

int convstore__search_add_hit(const struct convstore_search *search,
                              const struct convstore_candidate *candidate, convstore_text title,
                              const convstore_message *message, struct convstore_call *call) {
  convstore_result *result = call->result;
  size_t i = result->n_messages;
  result->messages[i] = *message;
  memcpy(result->conversation_ids[i], candidate->conversation_id, CONVSTORE_ID_SIZE);
  int status = convstore__search_hit(&result->hits[i], search, candidate, message, call->err);
  result->hits[i].title = title;
  if (status == CONVSTORE_OK) result->n_messages++;
  return status;
}

int convstore__search_cursor(const struct convstore_search *search, const struct convstore_candidate *last,
                             struct convstore_call *call) {
  convstore_position position = {.set = true};
  convstore__search_position(&position, search, last);
  return convstore__cursor_write(&call->result->cursor, call->request, &position, call->result, call->err);
}
