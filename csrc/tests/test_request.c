/*
 * core/request.c and core/message.c, seen from both ends: what convstore_run() refuses before the database
 * hears of it, and what it fills in. Behind it stands the fake backend, which remembers what reached it.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/store.h"
#include "check.h"
#include "fake_backend.h"

#define CONVERSATION_ID "0190f5a8-7b3c-7def-8123-456789abcdef"

static const convstore_text absent = {0};

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

/* `size` bytes of x. */
static convstore_text long_text(size_t size) {
  static char text[CONVSTORE_MAX_TOOL_CALL_ID + 1];
  memset(text, 'x', sizeof text);
  return (convstore_text){.data = text, .size = size};
}

static convstore_request request_of(convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = text_of("alice");
  memcpy(request.conversation_id, CONVERSATION_ID, sizeof CONVERSATION_ID);
  request.seq = 1;
  return request;
}

static int64_t stopped_clock(void) {
  return INT64_C(1769903999123);
}

/* A request, with one message to append, that breaks a rule. */
struct attempt {
  convstore_request request;
  convstore_message message;
  int status;
  const char *field; /* which the error names */
};

static struct attempt good_attempt(convstore_operation operation) {
  struct attempt attempt = {.request = request_of(operation), .message = CONVSTORE_MESSAGE_INIT};
  attempt.message.content = text_of("hello");
  return attempt;
}

static void refused(struct attempt *attempts, size_t n) {
  const convstore_options options = {.max_content_bytes = 1000};
  convstore *store = fake_open(&options);
  for (size_t i = 0; i < n; i++) {
    struct attempt *attempt = &attempts[i];
    convstore_result result = {0};
    convstore_error err = {0};
    attempt->request.messages = &attempt->message;
    attempt->request.n_messages = attempt->request.operation == CONVSTORE_APPEND;
    check_doing("attempt %zu, %s", i, attempt->field);
    CHECK_INT(convstore_run(&result, store, &attempt->request, &err), attempt->status);
    CHECK_INT(err.status, attempt->status);
    CHECK_HAS(err.message, convstore_status_name(attempt->status));
    CHECK_HAS(err.message, attempt->field);
    CHECK_INT((int64_t)result.n_messages, 0);
    convstore_result_free(&result);
  }
  CHECK_INT(fake.n_records, 0);
  convstore_close(store);
}

/* In a test with `attempts` and `n`: one more, good but for one change. */
#define BAD(operation, named_status, named_field, change)                                                    \
  do {                                                                                                       \
    struct attempt *bad = &attempts[n++];                                                                    \
    *bad = good_attempt(operation);                                                                          \
    bad->status = (named_status);                                                                            \
    bad->field = (named_field);                                                                              \
    bad->change;                                                                                             \
  } while (0)
#define BAD_APPEND(field, change) BAD(CONVSTORE_APPEND, CONVSTORE_E_INVALID, field, change)
#define BAD_PARTS(field, json)                                                                               \
  do {                                                                                                       \
    BAD_APPEND(field, message.parts = text_of(json));                                                        \
    attempts[n - 1].message.content = absent;                                                                \
  } while (0)

static void test_append__refuses_bad_users_and_conversations(void) {
  struct attempt attempts[16];
  size_t n = 0;
  BAD_APPEND("user_id", request.user_id = absent);
  BAD_APPEND("user_id", request.user_id.size = 0);
  BAD_APPEND("user_id", request.user_id = long_text(CONVSTORE_MAX_USER_ID + 1));
  BAD_APPEND("user_id", request.user_id = text_of("ali\xFF"));
  BAD_APPEND("conversation_id", request.conversation_id[0] = '\0');
  BAD_APPEND("conversation_id", request.conversation_id[10] = 'B');
  BAD_APPEND("conversation_id", request.conversation_id[36] = 'a'); /* does not even end */
  BAD_APPEND("expect", request.expect = -1);
  refused(attempts, n);
}

static void test_append__refuses_bad_messages(void) {
  struct attempt attempts[40];
  size_t n = 0;
  BAD_APPEND("role", message.role = CONVSTORE_ROLES);
  BAD_APPEND("id", message.id[0] = 'x');
  BAD_APPEND("content", message.content = absent);
  BAD_APPEND("content", message.parts = text_of("[]")); /* and content */
  BAD_APPEND("content", message.content = text_of("caf\xE9"));
  BAD_APPEND("content", message.content = ((convstore_text){.data = "a\0b", .size = 3}));
  BAD(CONVSTORE_APPEND, CONVSTORE_E_TOO_LARGE, "content", message.content = long_text(1001));
  BAD_PARTS("content", "{\"type\":\"text\"}");
  BAD_PARTS("content", "[{\"type\":\"text\",\"text\":\"x\"},{\"text\":\"x\"}]");
  BAD_PARTS("content", "[[]]");
  BAD_PARTS("tool_calls", "[{\"type\":\"tool_use\",\"id\":\"1\"}]");
  BAD_PARTS("tool_call_id", "[{\"type\":\"tool_result\"}]");
  BAD_APPEND("tool_calls", message.tool_calls = text_of("[{\"id\":\"1\"}"));
  BAD_APPEND("tool_calls", message.tool_calls = text_of("[{\"id\":\"\"}]"));
  BAD_APPEND("tool_calls", message.tool_calls = text_of("[1]"));
  BAD_APPEND("tool_calls", message.tool_calls = text_of("{}"));
  BAD_APPEND("tool_call_id", message.role = CONVSTORE_ROLE_TOOL);
  BAD_APPEND("tool_call_id", message.tool_call_id = text_of(""));
  BAD_APPEND("tool_call_id", message.tool_call_id = long_text(CONVSTORE_MAX_TOOL_CALL_ID + 1));
  BAD_APPEND("name", message.name = long_text(CONVSTORE_MAX_NAME + 1));
  BAD_APPEND("attachments", message.attachments = text_of("[{\"url\":1}]"));
  BAD_APPEND("attachments", message.attachments = text_of("[{\"size\":-1}]"));
  BAD_APPEND("attachments", message.attachments = text_of("[{\"size\":1.5}]"));
  BAD_APPEND("metadata", message.metadata = text_of("{a:1}"));
  BAD(CONVSTORE_APPEND, CONVSTORE_E_TOO_LARGE, "metadata", message.metadata = long_text(1001));
  BAD_APPEND("token_count", message.token_count = -1);
  BAD_APPEND("token_count", message.token_count = INT64_C(1) << 31);
  BAD_APPEND("created_at", message.created_at_ms = -1);
  BAD_APPEND("created_at", message.created_at_ms = INT64_C(253402300800000));
  refused(attempts, n);
}

static void test_run__refuses_bad_ranges_and_fields(void) {
  struct attempt attempts[24];
  size_t n = 0;
  BAD(CONVSTORE_HISTORY, CONVSTORE_E_INVALID, "limit", request.limit = 0);
  BAD(CONVSTORE_HISTORY, CONVSTORE_E_INVALID, "limit", request.limit = -5);
  BAD(CONVSTORE_HISTORY, CONVSTORE_E_INVALID, "after", request.after = -1);
  BAD(CONVSTORE_HISTORY, CONVSTORE_E_INVALID, "before", request.before = -1);
  BAD(CONVSTORE_HISTORY, CONVSTORE_E_INVALID, "role", request.roles = 1U << CONVSTORE_ROLES);
  BAD(CONVSTORE_BOUNDS, CONVSTORE_E_INVALID, "limit", request.limit = 0);
  BAD(CONVSTORE_MESSAGE, CONVSTORE_E_INVALID, "seq", request.seq = 0);
  BAD(CONVSTORE_MESSAGE, CONVSTORE_E_INVALID, "id", request.message_id[0] = 'x');
  BAD(CONVSTORE_ANNOTATE, CONVSTORE_E_INVALID, "seq", request.seq = -1);
  BAD(CONVSTORE_ANNOTATE, CONVSTORE_E_INVALID, "metadata", request.metadata = text_of("nope"));
  BAD(CONVSTORE_REDACT, CONVSTORE_E_INVALID, "seq", request.seq = INT64_MIN);
  BAD(CONVSTORE_CREATE, CONVSTORE_E_INVALID, "key", request.conversation.key = text_of(""));
  BAD(CONVSTORE_CREATE, CONVSTORE_E_INVALID, "key",
      request.conversation.key = long_text(CONVSTORE_MAX_KEY + 1));
  BAD(CONVSTORE_CREATE, CONVSTORE_E_INVALID, "id", request.conversation.id[0] = 'x');
  BAD(CONVSTORE_CREATE, CONVSTORE_E_INVALID, "created_at", request.conversation.created_at_ms = -1);
  BAD(CONVSTORE_CREATE, CONVSTORE_E_TOO_LARGE, "metadata", request.conversation.metadata = long_text(1001));
  BAD(CONVSTORE_CONVERSATION, CONVSTORE_E_INVALID, "key", request.conversation.key = absent);
  BAD(CONVSTORE_UPDATE, CONVSTORE_E_INVALID, "status", request.conversation.mark = CONVSTORE_MARKS);
  BAD(CONVSTORE_UPDATE, CONVSTORE_E_INVALID, "title", request.conversation.title = text_of("\xC0"));
  BAD(CONVSTORE_UPDATE, CONVSTORE_E_INVALID, "title",
      request.conversation.title = long_text(CONVSTORE_MAX_TITLE + 1));
  refused(attempts, n);
}

static void test_run__refuses_bad_pages(void) {
  const convstore_operation pages[] = {CONVSTORE_LIST, CONVSTORE_MESSAGES};
  struct attempt attempts[40];
  size_t n = 0;
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
    BAD(pages[i], CONVSTORE_E_INVALID, "limit", request.limit = 0);
    BAD(pages[i], CONVSTORE_E_INVALID, "limit", request.limit = CONVSTORE_MAX_PAGE + 1);
    BAD(pages[i], CONVSTORE_E_INVALID, "since", request.since_ms = -1);
    BAD(pages[i], CONVSTORE_E_INVALID, "before", request.before_ms = INT64_C(253402300800000));
    BAD(pages[i], CONVSTORE_E_INVALID, "role", request.roles = 1U << CONVSTORE_ROLES);
    BAD(pages[i], CONVSTORE_E_INVALID, "cursor", request.cursor = text_of(""));
    BAD(pages[i], CONVSTORE_E_INVALID, "user_id", request.user_id = absent);
  }
  BAD(CONVSTORE_LIST, CONVSTORE_E_INVALID, "deleted",
      request.deleted_filter = (convstore_deleted_filter)(CONVSTORE_DELETED_ANY + 1));
  BAD(CONVSTORE_LIST, CONVSTORE_E_INVALID, "status", request.mark_only = true);
  attempts[n - 1].request.mark = CONVSTORE_MARKS;
  BAD(CONVSTORE_USAGE, CONVSTORE_E_INVALID, "by", request.by = (convstore_by)(CONVSTORE_BY_CONVERSATION + 1));
  BAD(CONVSTORE_USAGE, CONVSTORE_E_INVALID, "since", request.since_ms = INT64_MAX);
  BAD(CONVSTORE_USAGE, CONVSTORE_E_INVALID, "before", request.before_ms = -1);
  refused(attempts, n);
}

static void test_run__refuses_bad_ages(void) {
  struct attempt attempts[10];
  size_t n = 0;
  BAD(CONVSTORE_PURGE_OLD, CONVSTORE_E_INVALID, "deleted_before", request.limit = 1);
  BAD(CONVSTORE_PURGE_OLD, CONVSTORE_E_INVALID, "deleted_before", request.deleted_before_ms = -1);
  BAD(CONVSTORE_PURGE_OLD, CONVSTORE_E_INVALID, "idle_before", request.idle_before_ms = INT64_MAX);
  BAD(CONVSTORE_PURGE_OLD, CONVSTORE_E_INVALID, "limit", request.limit = 0);
  attempts[n - 1].request.idle_before_ms = 1;
  BAD(CONVSTORE_ARCHIVE, CONVSTORE_E_INVALID, "idle_before", request.deleted_before_ms = 1);
  BAD(CONVSTORE_ARCHIVE, CONVSTORE_E_INVALID, "limit", request.limit = -1);
  attempts[n - 1].request.idle_before_ms = 1;
  refused(attempts, n);
}

static void test_run__refuses_bad_forks_and_summaries(void) {
  struct attempt attempts[20];
  size_t n = 0;
  BAD(CONVSTORE_FORK, CONVSTORE_E_INVALID, "at", request.at = -1);
  BAD(CONVSTORE_FORK, CONVSTORE_E_INVALID, "key", request.conversation.key = text_of(""));
  BAD(CONVSTORE_FORK, CONVSTORE_E_INVALID, "id", request.conversation.id[0] = 'x');
  BAD(CONVSTORE_FORK, CONVSTORE_E_INVALID, "conversation_id", request.conversation_id[0] = '\0');
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_INVALID, "text", request.text = absent);
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_INVALID, "text", request.text = text_of("\xFF"));
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_TOO_LARGE, "text", request.text = long_text(1001));
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_INVALID, "through", request.text = text_of("x"));
  attempts[n - 1].request.through = 0;
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_INVALID, "token_count", request.text = text_of("x"));
  attempts[n - 1].request.token_count = -1;
  BAD(CONVSTORE_SUMMARIZE, CONVSTORE_E_INVALID, "metadata", request.text = text_of("x"));
  attempts[n - 1].request.metadata = text_of("{");
  refused(attempts, n);
}

static void test_run__refuses_unknown_operations(void) {
  struct attempt attempts[8];
  size_t n = 0;
  BAD((convstore_operation)CONVSTORE_OPEN, CONVSTORE_E_INVALID, "operation", request.seq = 1);
  BAD((convstore_operation)-1, CONVSTORE_E_INVALID, "operation", request.seq = 1);
  BAD(CONVSTORE_OPERATIONS, CONVSTORE_E_INVALID, "operation", request.seq = 1);
  BAD((convstore_operation)INT32_MAX, CONVSTORE_E_INVALID, "operation", request.seq = 1);
  refused(attempts, n);
}

/* A schema that refers to the host's users takes an id as that table's type prints it, and no other way. */
static void test_user_id__is_spelled_as_its_type_prints_it(void) {
  static const struct {
    const char *user_id;
    convstore_user_id_type type;
    int status;
  } cases[] = {
      {"0", CONVSTORE_USER_ID_BIGINT, CONVSTORE_OK},
      {"7", CONVSTORE_USER_ID_BIGINT, CONVSTORE_OK},
      {"-12", CONVSTORE_USER_ID_BIGINT, CONVSTORE_OK},
      {"9223372036854775807", CONVSTORE_USER_ID_BIGINT, CONVSTORE_OK},
      {"-9223372036854775808", CONVSTORE_USER_ID_BIGINT, CONVSTORE_OK},
      {"9223372036854775808", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"-9223372036854775809", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"10000000000000000000", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"-", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"-0", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"07", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"-07", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"+7", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"7.0", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {" 7", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {"alice", CONVSTORE_USER_ID_BIGINT, CONVSTORE_E_INVALID},
      {CONVERSATION_ID, CONVSTORE_USER_ID_UUID, CONVSTORE_OK},
      {"0190F5A8-7B3C-7DEF-8123-456789ABCDEF", CONVSTORE_USER_ID_UUID, CONVSTORE_E_INVALID},
      {"7", CONVSTORE_USER_ID_UUID, CONVSTORE_E_INVALID},
      {"07", CONVSTORE_USER_ID_TEXT, CONVSTORE_OK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore *store = NULL;
    convstore_error err = {0};
    fake_reset();
    fake.user_id_type = cases[i].type;
    REQUIRE(convstore__open_backend(&store, &fake_backend, "", NULL, NULL) == CONVSTORE_OK);
    convstore_request request = request_of(CONVSTORE_GET);
    convstore_result result = {0};
    request.user_id = text_of(cases[i].user_id);
    check_doing("%s", cases[i].user_id);
    CHECK_INT(convstore_run(&result, store, &request, &err), cases[i].status);
    if (cases[i].status != CONVSTORE_OK) CHECK_HAS(err.message, "user_id");
    convstore_result_free(&result);
    convstore_close(store);
  }
}

/* What lies at a limit is within it. */
static void test_append__takes_the_longest_that_is_allowed(void) {
  const convstore_options options = {.max_content_bytes = 1000};
  convstore *store = fake_open(&options);
  convstore_request request = request_of(CONVSTORE_APPEND);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  convstore_result result = {0};
  request.user_id = long_text(CONVSTORE_MAX_USER_ID);
  message.content = long_text(1000);
  message.name = long_text(CONVSTORE_MAX_NAME);
  message.tool_call_id = long_text(CONVSTORE_MAX_TOOL_CALL_ID);
  message.attachments =
      text_of("[{\"size\":1.0,\"url\":null}]"); /* what decoders without integers make of 1 */
  message.token_count = INT32_MAX;
  message.created_at_ms = INT64_C(253402300799999);
  request.expect = 0;
  request.messages = &message;
  request.n_messages = 1;
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_START], 1);
  convstore_result_free(&result);
  convstore_close(store);
}

static void test_append__fills_in_what_was_left_out(void) {
  int64_t (*real)(void) = convstore__wall_ms;
  convstore *store = fake_open(NULL);
  convstore__wall_ms = stopped_clock;
  convstore_request request = request_of(CONVSTORE_APPEND);
  convstore_message messages[2] = {CONVSTORE_MESSAGE_INIT, CONVSTORE_MESSAGE_INIT};
  convstore_result result = {0};
  messages[0].content = text_of("five!");
  messages[1].role = CONVSTORE_ROLE_ASSISTANT;
  messages[1].content = text_of("");
  messages[1].tool_calls = text_of("[]"); /* says nothing */
  request.messages = messages;
  request.n_messages = 2;
  fake_answer((struct fake_answer){.status = CONVSTORE_E_BUSY});
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_E_BUSY);
  const convstore_message *sent = &fake_last()->message;
  CHECK_INT(sent->token_count, 2); /* a quarter of five bytes, rounded up */
  CHECK_INT(sent->created_at_ms, stopped_clock());
  CHECK_STRING(sent->id, messages[0].id);
  CHECK_INT((int64_t)strlen(messages[0].id), 36);
  CHECK_INT((int64_t)strlen(messages[1].id), 36);
  CHECK(strcmp(messages[0].id, messages[1].id) < 0);
  CHECK_INT(messages[0].token_count, CONVSTORE_ABSENT); /* the caller's own fields stay but for the ids */
  convstore_result_free(&result);

  char first_id[CONVSTORE_ID_SIZE];
  memcpy(first_id, messages[0].id, sizeof first_id);
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK); /* tried again: the same ids */
  CHECK_STRING(fake_last()->message.id, first_id);
  convstore_result_free(&result);
  convstore__wall_ms = real;
  convstore_close(store);
}

static void test_append__replaces_bad_bytes_where_the_options_say_so(void) {
  const convstore_options options = {.replace_text = true};
  convstore *store = fake_open(&options);
  convstore_request request = request_of(CONVSTORE_APPEND);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  convstore_result result = {0};
  message.content = (convstore_text){.data = "a\xFF\0b", .size = 4};
  message.name = text_of("\x80");
  message.tool_call_id = text_of("id\xFF");
  request.messages = &message;
  request.n_messages = 1;
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  CHECK_STRING(fake_last()->message.content.data, "a\xEF\xBF\xBD\xEF\xBF\xBD"
                                                  "b");
  CHECK_STRING(fake_last()->message.name.data, "\xEF\xBF\xBD");
  CHECK_STRING(fake_last()->message.tool_call_id.data, "id\xEF\xBF\xBD");
  CHECK_INT((int64_t)message.content.size, 4);
  convstore_result_free(&result);

  request.user_id = text_of("ali\xFF"); /* but never in what identifies: two users must not become one */
  convstore_error err = {0};
  CHECK_INT(convstore_run(&result, store, &request, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "user_id");
  convstore_result_free(&result);
  convstore_close(store);
}

static void test_conversation__says_whether_its_id_was_just_made(void) {
  convstore *store = fake_open(NULL);
  convstore_request request = request_of(CONVSTORE_CONVERSATION);
  convstore_result result = {0};
  request.conversation.key = text_of("telegram:7");
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  CHECK(fake_last()->id_is_new);
  CHECK_STRING(fake_last()->request.conversation.id, request.conversation.id);
  convstore_result_free(&result);
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  CHECK(!fake_last()->id_is_new);
  convstore_result_free(&result);
  convstore_close(store);
}

static const struct check_test tests[] = {
    TEST(test_append__refuses_bad_users_and_conversations),
    TEST(test_append__refuses_bad_messages),
    TEST(test_run__refuses_bad_ranges_and_fields),
    TEST(test_run__refuses_bad_pages),
    TEST(test_run__refuses_bad_ages),
    TEST(test_run__refuses_bad_forks_and_summaries),
    TEST(test_run__refuses_unknown_operations),
    TEST(test_user_id__is_spelled_as_its_type_prints_it),
    TEST(test_append__takes_the_longest_that_is_allowed),
    TEST(test_append__fills_in_what_was_left_out),
    TEST(test_append__replaces_bad_bytes_where_the_options_say_so),
    TEST(test_conversation__says_whether_its_id_was_just_made),
};
CHECK_MAIN(tests)
