/* core/cursor.c: what it gives comes back, and nothing else does. */
#include "../core/cursor.h"

#include <string.h>

#include "check.h"

#define ID_A "0190f5a8-7b3c-7def-8123-456789abcdef"
#define ID_B "ffffffff-0000-4aaa-9fff-fedcba987654"

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static convstore_request request_of(convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = text_of("alice");
  request.since_ms = 5;
  request.before_ms = 10;
  if (operation == CONVSTORE_SEARCH) request.text = text_of("two words");
  return request;
}

/* As the operation fills it. */
static convstore_position position_of(convstore_operation operation) {
  convstore_position position = {.set = true, .time_ms = INT64_C(1769903999123)};
  if (operation == CONVSTORE_USERS) {
    static const char user_id[] = "a user \xC3\xA4";
    convstore_position user = {.set = true, .n_user_id = sizeof user_id - 1};
    memcpy(user.user_id, user_id, sizeof user_id - 1);
    return user;
  }
  if (operation != CONVSTORE_SEARCH) memcpy(position.id, ID_A, sizeof ID_A);
  if (operation != CONVSTORE_LIST) memcpy(position.conversation_id, ID_B, sizeof ID_B);
  if (operation == CONVSTORE_SEARCH) {
    position.seq = 77;
    position.score = -12345678901;
    position.now_ms = INT64_C(1769904000000);
    position.n_weights = 3;
    memcpy(position.weights, "\x00\x80\xff", 3);
  }
  return position;
}

static const convstore_operation operations[] = {CONVSTORE_LIST, CONVSTORE_MESSAGES, CONVSTORE_SEARCH,
                                                 CONVSTORE_USERS};
enum {
  N_OPERATIONS = sizeof operations / sizeof *operations
};

static void check_position(const convstore_position *got, const convstore_position *expected) {
  CHECK_INT(got->set, expected->set);
  CHECK_INT(got->time_ms, expected->time_ms);
  CHECK_STRING(got->id, expected->id);
  CHECK_STRING(got->conversation_id, expected->conversation_id);
  CHECK_INT(got->seq, expected->seq);
  CHECK_INT(got->score, expected->score);
  CHECK_INT(got->now_ms, expected->now_ms);
  CHECK_INT((int64_t)got->n_weights, (int64_t)expected->n_weights);
  CHECK(memcmp(got->weights, expected->weights, sizeof got->weights) == 0);
  CHECK_INT((int64_t)got->n_user_id, (int64_t)expected->n_user_id);
  CHECK(memcmp(got->user_id, expected->user_id, sizeof got->user_id) == 0);
}

static void test_cursor__comes_back_as_it_went(void) {
  for (size_t i = 0; i < N_OPERATIONS; i++) {
    convstore_request request = request_of(operations[i]);
    convstore_position position = position_of(operations[i]);
    convstore_result result = {0};
    CHECK_INT(convstore__cursor_write(&request.cursor, &request, &position, &result, NULL), CONVSTORE_OK);
    REQUIRE(request.cursor.data != NULL);
    CHECK_INT((int64_t)strspn(request.cursor.data,
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              (int64_t)request.cursor.size);
    request.limit = 7; /* a page may be of another size */
    CHECK_INT(convstore__cursor_read(&request, NULL), CONVSTORE_OK);
    check_position(&request.position, &position);
    convstore_result_free(&result);
  }
}

static void test_cursor__carries_from_no_to_all_weights(void) {
  convstore_request request = request_of(CONVSTORE_SEARCH);
  convstore_position position = position_of(CONVSTORE_SEARCH);
  memset(position.weights, 0, sizeof position.weights);
  for (size_t n = 0; n <= sizeof position.weights; n++) {
    convstore_result result = {0};
    position.n_weights = n;
    if (n > 0) position.weights[n - 1] = (unsigned char)(200 + n);
    CHECK_INT(convstore__cursor_write(&request.cursor, &request, &position, &result, NULL), CONVSTORE_OK);
    CHECK_INT(convstore__cursor_read(&request, NULL), CONVSTORE_OK);
    check_position(&request.position, &position);
    convstore_result_free(&result);
  }
}

static void test_cursor__carries_user_ids_of_any_length(void) {
  convstore_request request = request_of(CONVSTORE_USERS);
  convstore_position position = {.set = true};
  for (size_t n = 1; n <= sizeof position.user_id; n++) {
    convstore_result result = {0};
    position.n_user_id = n;
    position.user_id[n - 1] = (char)(1 + n % 127);
    CHECK_INT(convstore__cursor_write(&request.cursor, &request, &position, &result, NULL), CONVSTORE_OK);
    CHECK_INT(convstore__cursor_read(&request, NULL), CONVSTORE_OK);
    check_position(&request.position, &position);
    convstore_result_free(&result);
  }
}

/* A program may have kept one from before an update: none of this may ever change. */
static void test_cursor__keeps_its_form(void) {
  convstore_request request = request_of(CONVSTORE_LIST);
  convstore_position position = position_of(CONVSTORE_LIST);
  convstore_result result = {0};
  CHECK_INT(convstore__cursor_write(&request.cursor, &request, &position, &result, NULL), CONVSTORE_OK);
  CHECK_STRING(request.cursor.data, "AREAAAGcFn_IkwGQ9ah7PH3vgSNFZ4mrze9L4QswfQUyHA");
  convstore_result_free(&result);
  request = request_of(CONVSTORE_USERS);
  position = position_of(CONVSTORE_USERS);
  CHECK_INT(convstore__cursor_write(&request.cursor, &request, &position, &result, NULL), CONVSTORE_OK);
  CHECK_STRING(request.cursor.data, "ARhhIHVzZXIgw6Q9s05EysbRoA");
  convstore_result_free(&result);
}

static void test_cursor__without_one_begins_ahead_of_everything(void) {
  convstore_request request = request_of(CONVSTORE_LIST);
  CHECK_INT(convstore__cursor_read(&request, NULL), CONVSTORE_OK);
  CHECK(!request.position.set);
  CHECK(request.position.time_ms > INT64_C(253402300799999));
  request = request_of(CONVSTORE_MESSAGES);
  CHECK_INT(convstore__cursor_read(&request, NULL), CONVSTORE_OK);
  CHECK(!request.position.set);
  CHECK_INT(request.position.time_ms, request.before_ms);
  CHECK_STRING(request.position.id, "00000000-0000-0000-0000-000000000000");
}

/* A cursor of each operation, in an array that may be changed. */
struct made {
  convstore_request request;
  char text[256];
};

static void make(struct made *out, convstore_operation operation) {
  convstore_position position = position_of(operation);
  convstore_result result = {0};
  out->request = request_of(operation);
  CHECK_INT(convstore__cursor_write(&out->request.cursor, &out->request, &position, &result, NULL),
            CONVSTORE_OK);
  REQUIRE(out->request.cursor.data != NULL);
  memcpy(out->text, out->request.cursor.data, out->request.cursor.size);
  out->request.cursor.data = out->text;
  convstore_result_free(&result);
}

static void refused(convstore_request *request) {
  convstore_error err = {0};
  CHECK_INT(convstore__cursor_read(request, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "invalid: cursor ");
  CHECK(!request->position.set);
}

static void test_cursor__is_refused_with_any_byte_changed(void) {
  for (size_t i = 0; i < N_OPERATIONS; i++) {
    struct made made;
    make(&made, operations[i]);
    for (size_t at = 0; at < made.request.cursor.size; at++) {
      char kept = made.text[at];
      for (int byte = 0; byte < 256; byte++) {
        if ((char)byte == kept) continue;
        check_doing("byte %zu is 0x%02x", at, (unsigned)byte);
        made.text[at] = (char)byte;
        refused(&made.request);
        if (check_failed()) return;
      }
      made.text[at] = kept;
    }
    check_doing("unchanged");
    CHECK_INT(convstore__cursor_read(&made.request, NULL), CONVSTORE_OK);
  }
}

static void test_cursor__is_refused_when_cut_or_prolonged(void) {
  for (size_t i = 0; i < N_OPERATIONS; i++) {
    struct made made;
    make(&made, operations[i]);
    size_t size = made.request.cursor.size;
    for (size_t n = 0; n < size; n++) {
      made.request.cursor.size = n;
      refused(&made.request);
    }
    for (size_t n = size; n < sizeof made.text; n++) {
      made.text[n] = n % 2 == 0 ? 'A' : '_';
      made.request.cursor.size = n + 1;
      refused(&made.request);
    }
  }
}

static void test_cursor__is_refused_when_it_is_garbage(void) {
  static char huge[1 << 20];
  const char *const texts[] = {"", "A", "AQ", "AQ==", "not a cursor", "\xff\xfe", "AQ\nAQ", "8J+YgA"};
  convstore_request request = request_of(CONVSTORE_LIST);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    request.cursor = text_of(texts[i]);
    refused(&request);
  }
  request.cursor = (convstore_text){"AQ\0A", 4};
  refused(&request);
  memset(huge, 'A', sizeof huge);
  request.cursor = (convstore_text){huge, sizeof huge};
  refused(&request);
}

static void test_cursor__is_refused_by_another_call_user_or_choice(void) {
  for (size_t i = 0; i < N_OPERATIONS; i++) {
    struct made made;
    make(&made, operations[i]);
    convstore_request others[16];
    size_t n = 0;
    for (size_t k = 0; k < N_OPERATIONS; k++) {
      if (k == i) continue;
      others[n] = made.request;
      others[n++].operation = operations[k];
    }
#define OTHER(change)                                                                                        \
  do {                                                                                                       \
    others[n] = made.request;                                                                                \
    others[n++].change;                                                                                      \
  } while (0)
    OTHER(user_id = text_of("alicf"));
    OTHER(user_id = text_of("alic"));
    OTHER(user_id = text_of(""));
    OTHER(roles = 1);
    OTHER(since_ms = 6);
    OTHER(before_ms = 11);
    OTHER(conversation_id[0] = 'x');
    OTHER(text = text_of("two wordz"));
    OTHER(text = text_of(""));
    OTHER(mark_only = true);
    OTHER(deleted_filter = CONVSTORE_DELETED_ONLY);
    OTHER(by_created = true);
    for (size_t k = 0; k < n; k++) {
      check_doing("operation %d, other %zu", (int)operations[i], k);
      refused(&others[k]);
    }
  }
}

static const struct check_test tests[] = {
    TEST(test_cursor__comes_back_as_it_went),
    TEST(test_cursor__carries_from_no_to_all_weights),
    TEST(test_cursor__carries_user_ids_of_any_length),
    TEST(test_cursor__keeps_its_form),
    TEST(test_cursor__without_one_begins_ahead_of_everything),
    TEST(test_cursor__is_refused_with_any_byte_changed),
    TEST(test_cursor__is_refused_when_cut_or_prolonged),
    TEST(test_cursor__is_refused_when_it_is_garbage),
    TEST(test_cursor__is_refused_by_another_call_user_or_choice),
};
CHECK_MAIN(tests)
