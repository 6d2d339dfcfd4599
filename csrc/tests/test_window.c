/* core/window.c: what a window holds, fed by hand. The specs compare whole contexts with a model; here is what stored
 * messages cannot be, and when the window has enough. */
#include "../core/window.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static convstore_message message_of(int64_t seq, convstore_role role, const char *content, int64_t tokens) {
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  message.seq = seq;
  message.role = role;
  if (content != NULL) message.content = text_of(content);
  message.token_count = tokens;
  return message;
}

static convstore_message call_of(int64_t seq, const char *tool_calls, int64_t tokens) {
  convstore_message message = message_of(seq, CONVSTORE_ROLE_ASSISTANT, NULL, tokens);
  message.tool_calls = text_of(tool_calls);
  return message;
}

static convstore_message result_of(int64_t seq, const char *id, int64_t tokens) {
  convstore_message message = message_of(seq, CONVSTORE_ROLE_TOOL, "x", tokens);
  message.tool_call_id = text_of(id);
  return message;
}

static convstore_result memory;
static convstore_error err;

static struct convstore_window window_of(int64_t last_seq, int64_t max_tokens, int64_t max_messages) {
  struct convstore_window window;
  convstore_result_free(&memory);
  convstore__window_start(&window, convstore__arena(&memory), last_seq, max_tokens, max_messages);
  return window;
}

static int add(struct convstore_window *window, convstore_message message) {
  return convstore__window_add(window, &message, &err);
}

/* The seqs in the window, oldest first, a call's results in parentheses behind it. */
static const char *seqs(const struct convstore_window *window) {
  static char text[256];
  size_t n = 0;
  text[0] = '\0';
  for (size_t i = window->n_items; i-- > 0;) {
    const struct convstore_item *item = &window->items[i];
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%lld", n > 0 ? " " : "",
                          (long long)item->message->seq);
    for (size_t k = 0; k < item->n_results; k++)
      n += (size_t)snprintf(text + n, sizeof text - n, "(%lld)", (long long)item->results[k]->seq);
  }
  return text;
}

static void test_window__has_enough_when_something_does_not_fit(void) {
  struct convstore_window window = window_of(3, 10, INT64_MAX);
  CHECK_INT(add(&window, message_of(3, CONVSTORE_ROLE_USER, "x", 4)), CONVSTORE_OK);
  CHECK(!window.enough);
  CHECK_INT(add(&window, message_of(2, CONVSTORE_ROLE_USER, "x", 7)), CONVSTORE_OK);
  CHECK(window.enough);
  CHECK_INT(add(&window, message_of(1, CONVSTORE_ROLE_USER, "x", 1)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "3");
  CHECK_INT(window.tokens, 4);
}

static void test_window__has_enough_when_it_is_full_of_messages(void) {
  struct convstore_window window = window_of(3, INT64_MAX, 2);
  CHECK_INT(add(&window, message_of(3, CONVSTORE_ROLE_USER, "x", 0)), CONVSTORE_OK);
  CHECK(!window.enough);
  CHECK_INT(add(&window, message_of(2, CONVSTORE_ROLE_USER, "x", 0)), CONVSTORE_OK);
  CHECK(window.enough);
}

static void test_window__goes_on_past_what_costs_nothing_when_it_is_full_of_tokens(void) {
  struct convstore_window window = window_of(2, 5, INT64_MAX);
  CHECK_INT(add(&window, message_of(2, CONVSTORE_ROLE_USER, "x", 5)), CONVSTORE_OK);
  CHECK(!window.enough);
  CHECK_INT(add(&window, message_of(1, CONVSTORE_ROLE_USER, "", 0)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "1 2");
}

static void test_window__gives_results_in_the_order_of_the_calls(void) {
  struct convstore_window window = window_of(4, INT64_MAX, INT64_MAX);
  CHECK_INT(add(&window, result_of(4, "a", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, result_of(3, "b", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, result_of(2, "a", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(1, "[{\"id\":\"a\"},{\"id\":\"b\"}]", 1)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "1(2)(3)");
  CHECK_INT(window.tokens, 3);
  CHECK_INT(window.n_messages, 3);
}

static void test_window__tells_by_the_seqs_that_something_stands_behind_a_call(void) {
  struct convstore_window window = window_of(3, INT64_MAX, INT64_MAX);
  CHECK_INT(add(&window, result_of(3, "a", 1)), CONVSTORE_OK); /* 2 is a system message and was not fed */
  CHECK_INT(add(&window, call_of(1, "[{\"id\":\"a\"},{\"id\":\"b\"}]", 1)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "");
  window = window_of(2, INT64_MAX, INT64_MAX);
  CHECK_INT(add(&window, result_of(2, "a", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(1, "[{\"id\":\"a\"},{\"id\":\"b\"}]", 1)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "1(2)");
}

static void test_window__is_too_large_at_once_or_not_at_all(void) {
  struct convstore_window window = window_of(2, 4, INT64_MAX);
  CHECK_INT(add(&window, message_of(2, CONVSTORE_ROLE_USER, "x", 5)), CONVSTORE_E_TOO_LARGE);
  CHECK_HAS(err.message, "5 tokens");
  window = window_of(3, INT64_MAX, 2);
  CHECK_INT(add(&window, result_of(3, "a", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, result_of(2, "b", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(1, "[{\"id\":\"a\"},{\"id\":\"b\"}]", 1)), CONVSTORE_E_TOO_LARGE);
  CHECK_HAS(err.message, "max_messages is 2");
  window = window_of(1, 0, INT64_MAX);
  CHECK_INT(add(&window, message_of(1, CONVSTORE_ROLE_USER, "x", 0)), CONVSTORE_OK);
}

static void test_window__adds_what_no_database_should_hold_without_overflow(void) {
  struct convstore_window window = window_of(9, INT64_MAX, INT64_MAX);
  CHECK_INT(add(&window, message_of(9, CONVSTORE_ROLE_USER, "x", INT64_MAX)), CONVSTORE_OK);
  CHECK_INT(add(&window, message_of(8, CONVSTORE_ROLE_USER, "x", INT64_MIN)), CONVSTORE_OK);
  CHECK_INT(add(&window, result_of(7, "a", INT64_MAX)), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(6, "[{\"id\":\"a\"}]", INT64_MAX)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "8 9");
  CHECK_INT(window.tokens, INT64_MAX);
}

static void test_window__says_that_calls_are_corrupt(void) {
  struct convstore_window window = window_of(1, INT64_MAX, INT64_MAX);
  CHECK_INT(add(&window, call_of(1, "[{\"id\":", 1)), CONVSTORE_E_CORRUPT);
  CHECK_HAS(err.message, "message 1");
  window = window_of(4, INT64_MAX, INT64_MAX);
  convstore_message orphan = result_of(4, "a", 1);
  orphan.tool_call_id = (convstore_text){0};
  CHECK_INT(add(&window, orphan), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(3, "{\"id\":\"a\"}", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(2, "[5,{\"id\":7}]", 1)), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "3");
}

/* Whatever a row still holds that says it is redacted. */
static void test_window__lets_nothing_in_that_is_redacted(void) {
  struct convstore_window window = window_of(4, INT64_MAX, INT64_MAX);
  convstore_message said = message_of(4, CONVSTORE_ROLE_USER, "x", 1);
  convstore_message result = result_of(3, "a", 1);
  convstore_message call = call_of(1, "[]", 1);
  said.redacted_at_ms = result.redacted_at_ms = call.redacted_at_ms = 5;
  CHECK_INT(add(&window, said), CONVSTORE_OK);
  CHECK_INT(add(&window, result), CONVSTORE_OK);
  CHECK_INT(add(&window, call_of(2, "[{\"id\":\"a\"}]", 1)), CONVSTORE_OK);
  CHECK_INT(add(&window, call), CONVSTORE_OK);
  CHECK_STRING(seqs(&window), "");
}

static void test_window__holds_many_results(void) {
  enum {
    N = 20000
  };
  static char ids[N][12];
  static char calls[N * 24];
  size_t size = 0;
  struct convstore_window window = window_of(N + 1, INT64_MAX, INT64_MAX);
  for (int i = N; i > 0; i--) {
    (void)snprintf(ids[i - 1], sizeof ids[i - 1], "c%d", i);
    REQUIRE(add(&window, result_of(i + 1, ids[i - 1], 1)) == CONVSTORE_OK);
    size +=
        (size_t)snprintf(calls + size, sizeof calls - size, "%s{\"id\":\"c%d\"}", size > 0 ? "," : "[", i);
  }
  (void)snprintf(calls + size, sizeof calls - size, "]");
  REQUIRE(add(&window, call_of(1, calls, 1)) == CONVSTORE_OK);
  CHECK_INT(window.n_messages, N + 1);
  for (int i = 0; i < N; i++) REQUIRE(window.items[0].results[i]->seq == N + 1 - i);
  convstore_result_free(&memory);
}

static const struct check_test tests[] = {
    TEST(test_window__has_enough_when_something_does_not_fit),
    TEST(test_window__has_enough_when_it_is_full_of_messages),
    TEST(test_window__goes_on_past_what_costs_nothing_when_it_is_full_of_tokens),
    TEST(test_window__gives_results_in_the_order_of_the_calls),
    TEST(test_window__tells_by_the_seqs_that_something_stands_behind_a_call),
    TEST(test_window__is_too_large_at_once_or_not_at_all),
    TEST(test_window__adds_what_no_database_should_hold_without_overflow),
    TEST(test_window__says_that_calls_are_corrupt),
    TEST(test_window__lets_nothing_in_that_is_redacted),
    TEST(test_window__holds_many_results),
};
CHECK_MAIN(tests)
