/*
 * Cursors: one that is taken is the one that is written for its position; one that we write is taken back as it was,
 * and by no other call, user or choice of options.
 */
#include "../core/cursor.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static const convstore_operation operations[] = {CONVSTORE_LIST, CONVSTORE_MESSAGES, CONVSTORE_SEARCH,
                                                 CONVSTORE_USERS};

static void hex_id(char out[CONVSTORE_ID_SIZE], uint64_t number) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    out[i] = '-';
    if (!dash) out[i] = digits[(number >> i) % 16];
  }
  out[36] = '\0';
}

/* Whether the fields that the operation uses are the same. */
static bool is_same(const convstore_position *a, const convstore_position *b, convstore_operation operation) {
  if (operation == CONVSTORE_USERS)
    return a->n_user_id == b->n_user_id && memcmp(a->user_id, b->user_id, a->n_user_id) == 0;
  if (a->time_ms != b->time_ms) return false;
  if (operation != CONVSTORE_SEARCH && strcmp(a->id, b->id) != 0) return false;
  if (operation != CONVSTORE_LIST && strcmp(a->conversation_id, b->conversation_id) != 0) return false;
  return operation != CONVSTORE_SEARCH ||
         (a->seq == b->seq && a->score == b->score && a->now_ms == b->now_ms &&
          a->n_weights == b->n_weights && memcmp(a->weights, b->weights, a->n_weights) == 0);
}

static int64_t small(uint64_t number) { /* what a database of ours can hold */
  return (int64_t)(number >> 11);
}

/* Any bytes as a cursor: refused, or ours. The hash is no secret, and a fuzzer that sees it compared forges it. */
static void check_foreign(convstore_request *request, convstore_text text) {
  convstore_error err = {0};
  convstore_result result = {.n_messages = 0};
  convstore_text again = {NULL, 0};
  request->cursor = text;
  int status = convstore__cursor_read(request, &err);
  if (status != CONVSTORE_OK) {
    FUZZ_CHECK(status == CONVSTORE_E_INVALID);
    fuzz_check_error(status, &err);
    return;
  }
  FUZZ_CHECK(request->position.set);
  FUZZ_CHECK(convstore__cursor_write(&again, request, &request->position, &result, NULL) == CONVSTORE_OK);
  FUZZ_CHECK(again.size == text.size && memcmp(again.data, text.data, text.size) == 0);
  convstore_result_free(&result);
}

static void check_round_trip(convstore_request *request, struct fuzz_input *input) {
  convstore_position position = {.set = true};
  convstore_result result = {.n_messages = 0};
  convstore_text cursor = {NULL, 0};
  position.time_ms = small(fuzz_number(input));
  hex_id(position.id, fuzz_number(input));
  hex_id(position.conversation_id, fuzz_number(input));
  position.seq = small(fuzz_number(input));
  position.score = (int64_t)(fuzz_number(input) >> 1);
  position.now_ms = small(fuzz_number(input));
  position.n_weights = fuzz_byte(input) % (sizeof position.weights + 1);
  for (size_t i = 0; i < position.n_weights; i++) position.weights[i] = (unsigned char)fuzz_byte(input);
  size_t place = fuzz_byte(input);
  unsigned change = fuzz_byte(input);
  convstore_text user = fuzz_rest(input);
  position.n_user_id = user.size < sizeof position.user_id ? user.size : sizeof position.user_id;
  if (position.n_user_id == 0) position.n_user_id = 1;
  memcpy(position.user_id, user.data, user.size < position.n_user_id ? user.size : position.n_user_id);

  FUZZ_CHECK(convstore__cursor_write(&cursor, request, &position, &result, NULL) == CONVSTORE_OK);
  request->cursor = cursor;
  FUZZ_CHECK(convstore__cursor_read(request, NULL) == CONVSTORE_OK);
  FUZZ_CHECK(request->position.set && is_same(&request->position, &position, request->operation));

  convstore_request other = *request;
  other.roles ^= 1;
  FUZZ_CHECK(convstore__cursor_read(&other, NULL) == CONVSTORE_E_INVALID);
  other = *request;
  other.operation = request->operation == CONVSTORE_LIST ? CONVSTORE_MESSAGES : CONVSTORE_LIST;
  FUZZ_CHECK(convstore__cursor_read(&other, NULL) == CONVSTORE_E_INVALID);
  other = *request;
  other.user_id = (convstore_text){"somebody else", 13};
  FUZZ_CHECK(convstore__cursor_read(&other, NULL) == CONVSTORE_E_INVALID);

  char *changed = fuzz_string(cursor);
  place %= cursor.size;
  changed[place] = (char)(changed[place] ^ (char)(change == 0 ? 1 : change));
  check_foreign(request, (convstore_text){changed, cursor.size});
  check_foreign(request, (convstore_text){cursor.data, place});
  free(changed);
  convstore_result_free(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  unsigned choice = fuzz_byte(&input);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operations[choice % 4];
  request.user_id = (convstore_text){"alice", 5};
  if (choice & 4) request.text = (convstore_text){"paper jam", 9};
  if (choice & 8) {
    check_round_trip(&request, &input);
  } else {
    convstore_text text = fuzz_rest(&input);
    char *copy = fuzz_exact(text);
    check_foreign(&request, (convstore_text){copy, text.size});
    free(copy);
  }
  return 0;
}
