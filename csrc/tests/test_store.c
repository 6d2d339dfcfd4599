/*
 * The library as a C program uses it, without Lua, on SQLite: each operation, its result, and the errors that
 * a program meets. The Lua specs hold the contract; this is about what the C interface itself promises.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../convstore.h"
#include "../core/clock.h"
#include "check.h"
#include "support.h"

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static bool is_text(convstore_text text, const char *expected) {
  return text.data && text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

static convstore *open_new(const char *name) {
  (void)remove(support_path(name));
  return support_open(support_path(name), NULL);
}

static convstore_request request_of(convstore_operation operation, const char *user, const char *id) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = text_of(user);
  if (id) (void)snprintf(request.conversation_id, sizeof request.conversation_id, "%s", id);
  return request;
}

/* The id of a user's conversation with this key. */
static void conversation(char id[CONVSTORE_ID_SIZE], convstore *store, const char *user, const char *key) {
  convstore_request request = request_of(CONVSTORE_CONVERSATION, user, NULL);
  convstore_result result = {0};
  convstore_error err = {0};
  request.conversation.key = text_of(key);
  CHECK_INT(convstore_run(&result, store, &request, &err), CONVSTORE_OK);
  CHECK_STRING(err.message, "");
  memcpy(id, result.conversation.id, CONVSTORE_ID_SIZE);
  convstore_result_free(&result);
}

/* The seq of what was said; 0 after a failure. */
static int64_t say(convstore *store, const char *user, const char *id, convstore_role role,
                   const char *content) {
  convstore_request request = request_of(CONVSTORE_APPEND, user, id);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  convstore_result result = {0};
  convstore_error err = {0};
  message.role = role;
  message.content = text_of(content);
  request.messages = &message;
  request.n_messages = 1;
  CHECK_INT(convstore_run(&result, store, &request, &err), CONVSTORE_OK);
  CHECK_STRING(err.message, "");
  int64_t seq = result.n_messages == 1 ? result.messages[0].seq : 0;
  convstore_result_free(&result);
  return seq;
}

/* Runs it; checks the status. The result is the caller's to free. */
static convstore_result run(convstore *store, convstore_request *request, int expected) {
  convstore_result result = {0};
  convstore_error err = {0};
  CHECK_INT(convstore_run(&result, store, request, &err), expected);
  if (expected == CONVSTORE_OK) CHECK_STRING(err.message, "");
  if (expected != CONVSTORE_OK) CHECK_HAS(err.message, convstore_status_name(expected));
  return result;
}

static void run_only(convstore *store, convstore_request *request, int expected) {
  convstore_result result = run(store, request, expected);
  convstore_result_free(&result);
}

/* ---- tests ---- */

static void test_store__remembers_after_it_was_closed(void) {
  char id[CONVSTORE_ID_SIZE], again[CONVSTORE_ID_SIZE];
  convstore *store = open_new("memory.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "telegram:7");
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "hello"), 1);
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_ASSISTANT, "gr\xC3\xBC\xC3\x9F dich"), 2);
  convstore_close(store);

  store = support_open(support_path("memory.db"), NULL);
  REQUIRE(store != NULL);
  conversation(again, store, "alice", "telegram:7");
  CHECK_STRING(again, id);
  convstore_request request = request_of(CONVSTORE_HISTORY, "alice", id);
  convstore_result result = run(store, &request, CONVSTORE_OK);
  REQUIRE(result.n_messages == 2);
  CHECK(is_text(result.messages[0].content, "hello"));
  CHECK(result.messages[0].role == CONVSTORE_ROLE_USER);
  CHECK(is_text(result.messages[1].content, "gr\xC3\xBC\xC3\x9F dich"));
  CHECK_INT(result.messages[1].seq, 2);
  CHECK_INT(result.messages[1].token_count, 3);
  CHECK(result.messages[1].parts.data == NULL && result.messages[1].metadata.data == NULL);
  CHECK_INT(result.messages[1].updated_at_ms, CONVSTORE_ABSENT);
  convstore_result_free(&result);
  CHECK(result.memory == NULL && result.n_messages == 0);
  convstore_close(store);
}

static void test_append__keeps_every_field(void) {
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("fields.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  convstore_message messages[2] = {CONVSTORE_MESSAGE_INIT, CONVSTORE_MESSAGE_INIT};
  memcpy(messages[0].id, "0190f5a8-0000-7000-9000-000000000001", CONVSTORE_ID_SIZE);
  messages[0].role = CONVSTORE_ROLE_ASSISTANT;
  messages[0].parts = text_of("[{\"type\":\"text\",\"text\":\"x\"}]");
  messages[0].name = text_of("bot");
  messages[0].tool_calls = text_of("[{\"id\":\"c1\"}]");
  messages[0].attachments = text_of("[{\"size\":1234567890123456789}]");
  messages[0].metadata = text_of("{\"a\":1.50}");
  messages[0].token_count = 77;
  messages[0].created_at_ms = 1234;
  messages[1].role = CONVSTORE_ROLE_TOOL;
  messages[1].content = text_of("");
  messages[1].tool_call_id = text_of("c1");
  convstore_request request = request_of(CONVSTORE_APPEND, "alice", id);
  request.messages = messages;
  request.n_messages = 2;
  request.expect = 0;
  convstore_result result = run(store, &request, CONVSTORE_OK);
  CHECK_INT((int64_t)result.n_messages, 2);
  CHECK_INT(result.conversation.last_seq, 2);
  CHECK_INT(result.conversation.token_count, 77);
  convstore_result_free(&result);

  request = request_of(CONVSTORE_HISTORY, "alice", id);
  result = run(store, &request, CONVSTORE_OK);
  REQUIRE(result.n_messages == 2);
  const convstore_message *first = &result.messages[0];
  CHECK_STRING(first->id, messages[0].id);
  CHECK(is_text(first->parts, "[{\"type\":\"text\",\"text\":\"x\"}]") && first->content.data == NULL);
  CHECK(is_text(first->name, "bot"));
  CHECK(is_text(first->tool_calls, "[{\"id\":\"c1\"}]"));
  CHECK(is_text(first->attachments, "[{\"size\":1234567890123456789}]"));
  CHECK(is_text(first->metadata, "{\"a\":1.50}"));
  CHECK_INT(first->token_count, 77);
  CHECK_INT(first->created_at_ms, 1234);
  CHECK(is_text(result.messages[1].content, "")); /* empty, but there */
  CHECK(is_text(result.messages[1].tool_call_id, "c1"));
  CHECK_STRING(result.messages[1].id, messages[1].id);
  convstore_result_free(&result);
  convstore_close(store);
}

static void test_append__again_with_its_ids_writes_nothing(void) {
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("replay.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  message.content = text_of("once");
  convstore_request request = request_of(CONVSTORE_APPEND, "alice", id);
  request.messages = &message;
  request.n_messages = 1;
  for (int i = 0; i < 3; i++) {
    convstore_result result = run(store, &request, CONVSTORE_OK);
    REQUIRE(result.n_messages == 1);
    CHECK_INT(result.messages[0].seq, 1);
    CHECK_INT(result.conversation.last_seq, 1);
    convstore_result_free(&result);
  }
  message.content = text_of("twice");
  run_only(store, &request, CONVSTORE_E_CONFLICT);
  message.id[0] = '\0'; /* another message, of one who has not seen the first */
  request.expect = 0;
  run_only(store, &request, CONVSTORE_E_CONFLICT);
  request.expect = 1;
  run_only(store, &request, CONVSTORE_OK);
  convstore_close(store);
}

static void test_history__gives_ranges(void) {
  static const struct {
    int64_t after, before, limit;
    bool from_end, descending;
    const char *seqs;
  } cases[] = {
      {CONVSTORE_ABSENT, CONVSTORE_ABSENT, CONVSTORE_ABSENT, false, false, "123456789"},
      {CONVSTORE_ABSENT, CONVSTORE_ABSENT, 3, false, false, "123"},
      {CONVSTORE_ABSENT, CONVSTORE_ABSENT, 3, true, false, "789"},
      {CONVSTORE_ABSENT, CONVSTORE_ABSENT, 3, true, true, "987"},
      {2, CONVSTORE_ABSENT, 2, false, false, "34"},
      {CONVSTORE_ABSENT, 5, 2, true, false, "34"},
      {2, 5, CONVSTORE_ABSENT, false, true, "43"},
      {9, CONVSTORE_ABSENT, CONVSTORE_ABSENT, false, false, ""},
      {INT64_MAX, 0, 1, true, false, ""},
      {0, INT64_MAX, INT64_MAX, false, false, "123456789"},
  };
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("history.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  for (int i = 0; i < 9; i++) say(store, "alice", id, (convstore_role)(i % 3), "four");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore_request request = request_of(CONVSTORE_HISTORY, "alice", id);
    char seqs[16] = "";
    request.after = cases[i].after;
    request.before = cases[i].before;
    request.limit = cases[i].limit;
    request.from_end = cases[i].from_end;
    request.descending = cases[i].descending;
    convstore_result result = run(store, &request, CONVSTORE_OK);
    for (size_t k = 0; k < result.n_messages && k < sizeof seqs - 1; k++)
      seqs[k] = (char)('0' + result.messages[k].seq);
    check_doing("case %zu", i);
    CHECK_STRING(seqs, cases[i].seqs);
    CHECK(!result.more);
    convstore_result_free(&result);

    request.operation = CONVSTORE_BOUNDS;
    result = run(store, &request, CONVSTORE_OK);
    size_t n = strlen(cases[i].seqs);
    int64_t first = n == 0 ? 0 : cases[i].seqs[cases[i].descending ? n - 1 : 0] - '0';
    int64_t last = n == 0 ? 0 : cases[i].seqs[cases[i].descending ? 0 : n - 1] - '0';
    CHECK_INT(result.first_seq, first);
    CHECK_INT(result.last_seq, last);
    convstore_result_free(&result);
  }

  convstore_request request =
      request_of(CONVSTORE_HISTORY, "alice", id); /* pages of at most 8 bytes and a bit */
  request.max_bytes = 7;
  convstore_result result = run(store, &request, CONVSTORE_OK);
  CHECK_INT((int64_t)result.n_messages, 2);
  CHECK(result.more);
  convstore_result_free(&result);
  request = request_of(CONVSTORE_HISTORY, "alice", id);
  request.roles = 1U << CONVSTORE_ROLE_ASSISTANT | 1U << CONVSTORE_ROLE_TOOL;
  result = run(store, &request, CONVSTORE_OK);
  CHECK_INT((int64_t)result.n_messages, 3);
  convstore_result_free(&result);
  convstore_close(store);
}

static void test_conversation__goes_through_its_life(void) {
  convstore *store = open_new("life.db");
  REQUIRE(store != NULL);
  convstore_request request = request_of(CONVSTORE_CREATE, "alice", NULL);
  request.conversation.key = text_of("k");
  request.conversation.title = text_of("First");
  request.conversation.metadata = text_of("{\"a\":1,\"b\":2}");
  convstore_result result = run(store, &request, CONVSTORE_OK);
  char id[CONVSTORE_ID_SIZE];
  memcpy(id, result.conversation.id, sizeof id);
  CHECK_STRING(request.conversation.id, id);
  CHECK(result.conversation.mark == CONVSTORE_MARK_ACTIVE);
  CHECK_INT(result.conversation.deleted_at_ms, CONVSTORE_ABSENT);
  convstore_result_free(&result);

  request = request_of(CONVSTORE_UPDATE, "alice", id);
  request.changes = CONVSTORE_CHANGE_METADATA | CONVSTORE_CHANGE_MARK | CONVSTORE_CHANGE_TITLE;
  request.merge = true;
  request.conversation.metadata = text_of("{\"a\":null,\"c\":3}");
  request.conversation.mark = CONVSTORE_MARK_CLOSED;
  result = run(store, &request, CONVSTORE_OK);
  CHECK(is_text(result.conversation.metadata, "{\"b\":2,\"c\":3}"));
  CHECK(result.conversation.mark == CONVSTORE_MARK_CLOSED);
  CHECK(result.conversation.title.data == NULL);
  CHECK(is_text(result.conversation.key, "k"));
  convstore_result_free(&result);

  request = request_of(CONVSTORE_DELETE, "alice", id);
  run_only(store, &request, CONVSTORE_OK);
  run_only(store, &request, CONVSTORE_OK);
  request.operation = CONVSTORE_GET;
  run_only(store, &request, CONVSTORE_E_NOT_FOUND);
  request.deleted = true;
  result = run(store, &request, CONVSTORE_OK);
  CHECK(result.conversation.deleted_at_ms != CONVSTORE_ABSENT);
  convstore_result_free(&result);

  char other[CONVSTORE_ID_SIZE]; /* the key is free, and is taken */
  conversation(other, store, "alice", "k");
  CHECK(strcmp(other, id) != 0);
  request = request_of(CONVSTORE_RESTORE, "alice", id);
  run_only(store, &request, CONVSTORE_E_CONFLICT);
  request = request_of(CONVSTORE_PURGE, "alice", other);
  run_only(store, &request, CONVSTORE_OK);
  run_only(store, &request, CONVSTORE_E_NOT_FOUND);
  request = request_of(CONVSTORE_RESTORE, "alice", id);
  result = run(store, &request, CONVSTORE_OK);
  CHECK_STRING(result.conversation.id, id);
  convstore_result_free(&result);
  convstore_close(store);
}

/* {"<key>":"xxx"} of `size` bytes. */
static convstore_text large_metadata(char *buffer, char key, size_t size) {
  memset(buffer, 'x', size);
  memcpy(buffer, "{\"k\":\"", 6);
  buffer[2] = key;
  memcpy(buffer + size - 2, "\"}", 2);
  return (convstore_text){.data = buffer, .size = size};
}

static void test_metadata__is_limited_as_it_is_merged(void) {
  static char buffers[2][CONVSTORE_MAX_CONTENT];
  const convstore_options wide = {.max_content_bytes = CONVSTORE_MAX_CONTENT};
  char id[CONVSTORE_ID_SIZE];
  (void)remove(support_path("metadata.db"));
  convstore *store = support_open(support_path("metadata.db"), &wide);
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  say(store, "alice", id, CONVSTORE_ROLE_USER, "hello");
  convstore_request update = request_of(CONVSTORE_UPDATE, "alice", id);
  update.changes = CONVSTORE_CHANGE_METADATA;
  update.merge = true;
  update.conversation.metadata = large_metadata(buffers[0], 'a', 10000000);
  convstore_request annotate = request_of(CONVSTORE_ANNOTATE, "alice", id);
  annotate.seq = 1;
  annotate.metadata = update.conversation.metadata;
  run_only(store, &update, CONVSTORE_OK);
  run_only(store, &annotate, CONVSTORE_OK);
  update.conversation.metadata =
      large_metadata(buffers[1], 'b', 10000000); /* together more than any column takes */
  annotate.metadata = update.conversation.metadata;
  run_only(store, &update, CONVSTORE_E_TOO_LARGE);
  run_only(store, &annotate, CONVSTORE_E_TOO_LARGE);
  convstore_close(store);

  store = support_open(support_path("metadata.db"), NULL); /* with a lower limit what is stored stays */
  REQUIRE(store != NULL);
  update.changes = CONVSTORE_CHANGE_TITLE;
  update.conversation.metadata = (convstore_text){0};
  update.conversation.title = text_of("Another");
  run_only(store, &update, CONVSTORE_OK);
  update.changes = CONVSTORE_CHANGE_METADATA;
  update.conversation.metadata = text_of("{\"c\":1}");
  run_only(store, &update, CONVSTORE_E_TOO_LARGE);
  annotate.metadata = update.conversation.metadata;
  run_only(store, &annotate, CONVSTORE_E_TOO_LARGE);
  update.merge = false;
  run_only(store, &update, CONVSTORE_OK);
  convstore_close(store);
}

static void test_message__is_annotated_and_redacted(void) {
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("message.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  say(store, "alice", id, CONVSTORE_ROLE_USER, "my password");
  convstore_request request = request_of(CONVSTORE_ANNOTATE, "alice", id);
  request.seq = 1;
  request.metadata = text_of("{\"rating\":5}");
  convstore_result result = run(store, &request, CONVSTORE_OK);
  REQUIRE(result.n_messages == 1);
  CHECK(is_text(result.messages[0].metadata, "{\"rating\":5}"));
  CHECK(result.messages[0].updated_at_ms != CONVSTORE_ABSENT);
  convstore_result_free(&result);

  request = request_of(CONVSTORE_REDACT, "alice", id);
  request.seq = 1;
  result = run(store, &request, CONVSTORE_OK);
  REQUIRE(result.n_messages == 1);
  CHECK(result.messages[0].content.data == NULL && result.messages[0].metadata.data == NULL);
  CHECK(result.messages[0].redacted_at_ms != CONVSTORE_ABSENT);
  convstore_result_free(&result);
  request.operation = CONVSTORE_MESSAGE;
  result = run(store, &request, CONVSTORE_OK);
  CHECK(result.n_messages == 1 && result.messages[0].content.data == NULL);
  convstore_result_free(&result);
  request.seq = 2;
  run_only(store, &request, CONVSTORE_E_NOT_FOUND);
  convstore_close(store);
}

/* One user's id says nothing to another, whatever is asked. */
static void test_isolation__anothers_is_as_if_it_were_not(void) {
  static const convstore_operation operations[] = {CONVSTORE_GET,     CONVSTORE_UPDATE,  CONVSTORE_DELETE,
                                                   CONVSTORE_RESTORE, CONVSTORE_PURGE,   CONVSTORE_APPEND,
                                                   CONVSTORE_MESSAGE, CONVSTORE_HISTORY, CONVSTORE_ANNOTATE,
                                                   CONVSTORE_REDACT,  CONVSTORE_BOUNDS};
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("isolation.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  say(store, "alice", id, CONVSTORE_ROLE_USER, "secret");
  uint64_t before = support_fingerprint(support_path("isolation.db"));
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    char messages[2][sizeof((convstore_error *)0)->message] = {"", ""};
    const char *const ids[] = {id, "0190f5a8-0000-7000-8000-00000000dead"};
    for (size_t k = 0; k < 2; k++) {
      convstore_request request = request_of(operations[i], "mallory", ids[k]);
      convstore_message message = CONVSTORE_MESSAGE_INIT;
      convstore_result result = {0};
      convstore_error err = {0};
      message.content = text_of("x");
      request.messages = &message;
      request.n_messages = 1;
      request.seq = 1;
      request.changes = CONVSTORE_CHANGE_TITLE;
      request.metadata = text_of("{}");
      check_doing("operation %d", (int)operations[i]);
      CHECK_INT(convstore_run(&result, store, &request, &err), CONVSTORE_E_NOT_FOUND);
      char *at = strstr(err.message, ids[k]); /* the words, without the id that was asked for */
      CHECK(at != NULL);
      if (at) memset(at, '-', CONVSTORE_ID_SIZE - 1);
      memcpy(messages[k], err.message, sizeof messages[k]);
      convstore_result_free(&result);
    }
    CHECK_STRING(messages[0], messages[1]);
  }
  CHECK(support_fingerprint(support_path("isolation.db")) == before);
  convstore_close(store);
}

static void test_transaction__undoes_what_is_rolled_back(void) {
  char id[CONVSTORE_ID_SIZE];
  convstore *store = open_new("transaction.db");
  REQUIRE(store != NULL);
  conversation(id, store, "alice", "k");
  convstore_request begin = request_of(CONVSTORE_BEGIN, "", NULL);
  convstore_request commit = request_of(CONVSTORE_COMMIT, "", NULL);
  convstore_request rollback = request_of(CONVSTORE_ROLLBACK, "", NULL);
  run_only(store, &begin, CONVSTORE_OK);
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "kept"), 1);
  run_only(store, &begin, CONVSTORE_OK);
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "undone"), 2);
  run_only(store, &rollback, CONVSTORE_OK);
  convstore_request missing = request_of(CONVSTORE_MESSAGE, "alice", id); /* a failed call harms nothing */
  missing.seq = 2;
  run_only(store, &missing, CONVSTORE_E_NOT_FOUND);
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "kept too"), 2);
  run_only(store, &commit, CONVSTORE_OK);
  run_only(store, &begin, CONVSTORE_OK);
  CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "never"), 3);
  convstore_close(store); /* rolls back */
  CHECK_INT(support_number(support_path("transaction.db"),
                           "SELECT sum(content LIKE 'kept%') * 10 + count(*) FROM convstore_messages"),
            22);
  support_check_database(support_path("transaction.db"));
}

/* A second connection waits for the first one's transaction, and no longer than it may. */
static void test_lock__is_waited_for_until_the_timeout(void) {
  const convstore_options impatient = {.timeout_ms = 120};
  char id[CONVSTORE_ID_SIZE];
  convstore *first = open_new("lock.db");
  convstore *second = support_open(support_path("lock.db"), &impatient);
  REQUIRE(first != NULL && second != NULL);
  conversation(id, first, "alice", "k");
  convstore_request begin = request_of(CONVSTORE_BEGIN, "", NULL);
  convstore_request commit = request_of(CONVSTORE_COMMIT, "", NULL);
  run_only(first, &begin, CONVSTORE_OK);
  convstore_request request = request_of(CONVSTORE_APPEND, "alice", id);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  message.content = text_of("x");
  request.messages = &message;
  request.n_messages = 1;
  int64_t start_ms = convstore__monotonic_ms();
  run_only(second, &request, CONVSTORE_E_BUSY);
  int64_t waited_ms = convstore__monotonic_ms() - start_ms;
  CHECK(waited_ms >= 115 && waited_ms < 5000);
  CHECK_INT((int64_t)strlen(message.id), 36); /* what to try again with */
  convstore_request history = request_of(CONVSTORE_HISTORY, "alice", id);
  run_only(second, &history, CONVSTORE_OK); /* readers need not wait */
  run_only(first, &commit, CONVSTORE_OK);
  run_only(second, &request, CONVSTORE_OK);
  convstore_close(first);
  convstore_close(second);
}

static void test_open__says_what_is_wrong(void) {
  char folder[200], missing[200];
  const char *garbage = support_path("garbage.db");
  (void)snprintf(folder, sizeof folder, "%s", support_path("folder"));
  (void)snprintf(missing, sizeof missing, "%s", support_path("nowhere/x.db"));
  CHECK_INT(mkdir(folder, 0700), 0);
  FILE *file = fopen(garbage, "wb");
  REQUIRE(file != NULL);
  for (int i = 0; i < 2000; i++) fputs("no database ", file);
  fclose(file);
  const struct {
    const char *dsn;
    convstore_options options;
    int status;
  } cases[] = {
      {garbage, {0}, CONVSTORE_E_CORRUPT},
      {folder, {0}, CONVSTORE_E_INVALID},
      {missing, {0}, CONVSTORE_E_UNAVAILABLE},
      {"", {0}, CONVSTORE_E_INVALID},
      {"sqlite:", {0}, CONVSTORE_E_INVALID},
      {"mysql://host/db", {0}, CONVSTORE_E_UNSUPPORTED},
      {":memory:", {.timeout_ms = -1}, CONVSTORE_E_INVALID},
      {":memory:", {.users = "people"}, CONVSTORE_E_INVALID},
      {":memory:", {.users = "people(id)"}, CONVSTORE_E_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore *untouched = (convstore *)&file, *store = untouched;
    convstore_error err = {0};
    check_doing("%s", cases[i].dsn);
    CHECK_INT(convstore_open(&store, cases[i].dsn, &cases[i].options, &err), cases[i].status);
    CHECK_INT(err.status, cases[i].status);
    CHECK_HAS(err.message, convstore_status_name(cases[i].status));
    CHECK(store == untouched);
    CHECK_INT(convstore_open(&store, cases[i].dsn, &cases[i].options, NULL), cases[i].status);
  }
  CHECK_INT(remove(folder), 0);
}

static void test_open__in_memory_keeps_nothing(void) {
  for (int i = 0; i < 2; i++) {
    char id[CONVSTORE_ID_SIZE];
    convstore *store = support_open(":memory:", NULL);
    REQUIRE(store != NULL);
    conversation(id, store, "alice", "k");
    CHECK_INT(say(store, "alice", id, CONVSTORE_ROLE_USER, "hello"), 1);
    convstore_close(store);
  }
}

static void test_migrate__goes_down_and_up(void) {
  convstore *store = open_new("migrate.db");
  REQUIRE(store != NULL);
  convstore_request down = request_of(CONVSTORE_MIGRATE, "", NULL);
  down.target = 0;
  convstore_result result = run(store, &down, CONVSTORE_OK);
  CHECK_INT(result.schema_version, 0);
  CHECK(result.newest_version >= 1);
  convstore_result_free(&result);
  CHECK_INT(support_number(support_path("migrate.db"), "SELECT count(*) FROM sqlite_schema"), 0);
  convstore_request get = request_of(CONVSTORE_GET, "alice", "0190f5a8-0000-7000-8000-000000000001");
  run_only(store, &get, CONVSTORE_E_SCHEMA);
  convstore_request list = request_of(CONVSTORE_MIGRATIONS, "", NULL);
  result = run(store, &list, CONVSTORE_OK);
  REQUIRE(result.n_migrations >= 1);
  CHECK_INT(result.migrations[0].version, 1);
  CHECK_STRING(result.migrations[0].name, "init");
  CHECK_INT(result.migrations[0].applied_at_ms, CONVSTORE_ABSENT);
  CHECK_HAS(result.migrations[0].up, "CREATE TABLE convstore_messages");
  CHECK_HAS(result.migrations[0].down, "DROP TABLE convstore_messages");
  convstore_result_free(&result);
  convstore_request up = request_of(CONVSTORE_MIGRATE, "", NULL);
  result = run(store, &up, CONVSTORE_OK);
  CHECK_INT(result.schema_version, result.newest_version);
  convstore_result_free(&result);
  run_only(store, &get, CONVSTORE_E_NOT_FOUND);
  convstore_close(store);
}

static const struct check_test tests[] = {
    TEST(test_store__remembers_after_it_was_closed),
    TEST(test_append__keeps_every_field),
    TEST(test_append__again_with_its_ids_writes_nothing),
    TEST(test_history__gives_ranges),
    TEST(test_conversation__goes_through_its_life),
    TEST(test_metadata__is_limited_as_it_is_merged),
    TEST(test_message__is_annotated_and_redacted),
    TEST(test_isolation__anothers_is_as_if_it_were_not),
    TEST(test_transaction__undoes_what_is_rolled_back),
    TEST(test_lock__is_waited_for_until_the_timeout),
    TEST(test_open__says_what_is_wrong),
    TEST(test_open__in_memory_keeps_nothing),
    TEST(test_migrate__goes_down_and_up),
};
CHECK_MAIN(tests)
