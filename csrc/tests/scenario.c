/* See scenario.h. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/clock.h"
#include "../sqlite/sqlite_operations.h"
#include "check.h"
#include "scenario_parts.h"
#include "scenario_retention.h"
#include "support.h"

#define PARTS_MESSAGE 50 /* the number of the one that has parts, as its id ends */
#define STORED_MESSAGE_ID "0190f5a8-0000-7000-9000-000000000001"

/* Longer than what fits beside others in one allocation of the library or of its parsers. */
#define LONG_TEXT                                                                                            \
  "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick "     \
  "brown fox jumps over the lazy dog. Gr\xC3\xBC\xC3\x9F dich, \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80"

convstore_text scenario_text(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

convstore_request scenario_request(convstore_operation operation, const char *user_id,
                                   const char *conversation_id) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = scenario_text(user_id);
  (void)snprintf(request.conversation_id, sizeof request.conversation_id, "%s", conversation_id);
  return request;
}

static convstore_request request_of(convstore_operation operation, const char *conversation_id) {
  return scenario_request(operation, "alice", conversation_id);
}

int scenario_finish(uint64_t *hash, convstore *store, convstore_request *request, convstore_error *err) {
  convstore_result result = {0};
  int status = convstore_run(&result, store, request, err);
  if (status == CONVSTORE_OK) *hash = support_hash_result(&result);
  convstore_result_free(&result);
  return status;
}

/* A message with every field. Its id ends in `number`. */
static convstore_message full_message(int number, convstore_role role) {
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  (void)snprintf(message.id, sizeof message.id, "0190f5a8-0000-7000-9000-%012d", number);
  message.role = role;
  message.content = scenario_text(LONG_TEXT);
  message.name = scenario_text("Zo\xC3\xAB");
  message.tool_calls =
      scenario_text("[{\"id\":\"call_that_is_longer_than_fifteen\",\"n\":1234567890123456789}]");
  message.tool_call_id = scenario_text("call_that_is_longer_than_fifteen");
  message.attachments =
      scenario_text("[{\"url\":\"https://example.org/a/rather/long/path.png\",\"size\":12345}]");
  message.metadata =
      scenario_text("{\"a\":{\"b\":[1.5,null,true]},\"text\":\"\\u00e9 and a rather long string\"}");
  return message;
}

static int append(uint64_t *hash, convstore *store, const char *id, int first, size_t n,
                  convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_APPEND, id);
  convstore_message messages[8];
  for (size_t i = 0; i < n; i++)
    messages[i] = full_message(first + (int)i, (convstore_role)((first + (int)i) % CONVSTORE_ROLES));
  request.messages = messages;
  request.n_messages = n;
  return scenario_finish(hash, store, &request, err);
}

/* ---- the operations ---- */

static int create_one(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CREATE, "");
  memcpy(request.conversation.id, NEW_ID, sizeof NEW_ID);
  request.conversation.key = scenario_text("a key that is new");
  request.conversation.title = scenario_text(LONG_TEXT);
  request.conversation.metadata = scenario_text("{\"language\":\"a value of some length\"}");
  return scenario_finish(hash, store, &request, err);
}

static int create_again(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CREATE, "");
  memcpy(request.conversation.id, LIVE_ID, sizeof LIVE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int conversation_new(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONVERSATION, "");
  memcpy(request.conversation.id, NEW_ID, sizeof NEW_ID);
  request.conversation.key = scenario_text("telegram:8");
  return scenario_finish(hash, store, &request, err);
}

static int conversation_known(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CONVERSATION, "");
  request.conversation.key = scenario_text("telegram:7");
  return scenario_finish(hash, store, &request, err);
}

static int get(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_GET, LIVE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int update(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_UPDATE, LIVE_ID);
  request.changes =
      CONVSTORE_CHANGE_TITLE | CONVSTORE_CHANGE_MARK | CONVSTORE_CHANGE_METADATA | CONVSTORE_CHANGE_KEY;
  request.merge = true;
  request.conversation.title = scenario_text(LONG_TEXT);
  request.conversation.mark = CONVSTORE_MARK_CLOSED;
  request.conversation.metadata = scenario_text("{\"language\":null,\"more\":{\"x\":[1,2]}}");
  request.conversation.key = scenario_text("another key");
  return scenario_finish(hash, store, &request, err);
}

static int delete_one(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_DELETE, LIVE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int restore(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_RESTORE, DELETED_ID);
  return scenario_finish(hash, store, &request, err);
}

static int purge(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_PURGE, LIVE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int append_one(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, LIVE_ID, 100, 1, err);
}

static int append_many(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, LIVE_ID, 100, 5, err);
}

static int append_replayed(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, LIVE_ID, 1, 3, err);
}

/* The same parts as are stored, in other words. */
static int append_parts_replayed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_APPEND, LIVE_ID);
  convstore_message message = full_message(PARTS_MESSAGE, CONVSTORE_ROLE_USER);
  message.content = (convstore_text){0};
  message.parts = scenario_text("[ {\"text\" : \"" LONG_TEXT "\", \"type\" : \"text\"} ]");
  request.messages = &message;
  request.n_messages = 1;
  return scenario_finish(hash, store, &request, err);
}

static int append_parts(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_APPEND, LIVE_ID);
  convstore_message message = full_message(100, CONVSTORE_ROLE_USER);
  message.content = (convstore_text){0};
  message.parts = scenario_text("[{\"type\":\"text\",\"text\":\"" LONG_TEXT "\"},{\"type\":\"image_url\"}]");
  request.messages = &message;
  request.n_messages = 1;
  return scenario_finish(hash, store, &request, err);
}

static int append_to_archived(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, ARCHIVED_ID, 100, 2, err);
}

static int append_to_parted(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, PARTED_ID, 100, 2, err);
}

static int message_by_seq(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MESSAGE, LIVE_ID);
  request.seq = 2;
  return scenario_finish(hash, store, &request, err);
}

static int message_by_id(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MESSAGE, ARCHIVED_ID);
  memcpy(request.message_id, STORED_MESSAGE_ID, sizeof STORED_MESSAGE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int history_parted(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_HISTORY, PARTED_ID);
  return scenario_finish(hash, store, &request, err);
}

static int history(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_HISTORY, LIVE_ID);
  return scenario_finish(hash, store, &request, err);
}

static int history_of_roles(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_HISTORY, ARCHIVED_ID);
  request.roles = 1U << CONVSTORE_ROLE_USER | 1U << CONVSTORE_ROLE_TOOL;
  request.from_end = true;
  request.limit = 3;
  return scenario_finish(hash, store, &request, err);
}

static int history_of_bytes(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_HISTORY, LIVE_ID);
  request.max_bytes = 1000;
  return scenario_finish(hash, store, &request, err);
}

static int bounds(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_BOUNDS, LIVE_ID);
  request.after = 2;
  return scenario_finish(hash, store, &request, err);
}

static int annotate(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_ANNOTATE, LIVE_ID);
  request.seq = 3;
  request.metadata = scenario_text("{\"rating\":5,\"a\":{\"b\":null}}");
  return scenario_finish(hash, store, &request, err);
}

static int redact(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_REDACT, ARCHIVED_ID);
  request.seq = 4;
  return scenario_finish(hash, store, &request, err);
}

/* The first failure ends it, by ROLLBACK. */
static int transaction(uint64_t *hash, convstore *store, convstore_error *err) {
  static int (*const parts[])(uint64_t *, convstore *, convstore_error *) = {append_one, update, annotate,
                                                                             history};
  convstore_request begin = request_of(CONVSTORE_BEGIN, "");
  convstore_request commit = request_of(CONVSTORE_COMMIT, "");
  convstore_request rollback = request_of(CONVSTORE_ROLLBACK, "");
  uint64_t ignored;
  int depth = convstore_depth(store);
  int status = scenario_finish(&ignored, store, &begin, err);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; status == CONVSTORE_OK && i < sizeof parts / sizeof *parts; i++)
    status = parts[i](hash, store, err);
  if (status == CONVSTORE_OK)
    status = scenario_finish(&ignored, store, &commit, err);
  else
    (void)scenario_finish(&ignored, store, &rollback, NULL);
  CHECK_INT(convstore_depth(store), depth);
  return status;
}

/* What fails inside is undone, what was done before and after stays: the parts that fail are left out. */
static int nested_transaction(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request begin = request_of(CONVSTORE_BEGIN, "");
  convstore_request commit = request_of(CONVSTORE_COMMIT, "");
  convstore_request rollback = request_of(CONVSTORE_ROLLBACK, "");
  uint64_t ignored;
  int depth = convstore_depth(store);
  int status = scenario_finish(&ignored, store, &begin, err);
  if (status != CONVSTORE_OK) return status;
  status = append_one(hash, store, err);
  if (status == CONVSTORE_OK) status = scenario_finish(&ignored, store, &begin, err);
  if (status == CONVSTORE_OK) {
    status = purge(&ignored, store, err);
    if (status == CONVSTORE_OK)
      status = scenario_finish(&ignored, store, &rollback, err);
    else
      (void)scenario_finish(&ignored, store, &rollback, NULL);
  }
  if (status == CONVSTORE_OK)
    status = scenario_finish(&ignored, store, &commit, err);
  else
    (void)scenario_finish(&ignored, store, &rollback, NULL);
  CHECK_INT(convstore_depth(store), depth);
  return status;
}

static int users(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_USERS, "");
  request.user_id = (convstore_text){0};
  return scenario_finish(hash, store, &request, err);
}

static int stats(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_STATS, "");
  return scenario_finish(hash, store, &request, err);
}

static int check(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_CHECK, "");
  return scenario_finish(hash, store, &request, err);
}

/* After a success the copy is there, of the same size each time; after a failure it is not. The file is looked at
 * without SQLite, whose calls may still be failing. */
static int backup(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_BACKUP, "");
  const char *path = support_path("backup.db");
  struct stat info;
  request.path = scenario_text(path);
  int status = scenario_finish(hash, store, &request, err);
  bool there = stat(path, &info) == 0;
  CHECK_INT(there, status == CONVSTORE_OK);
  if (status == CONVSTORE_OK && there) *hash = support_hash(*hash, &info.st_size, sizeof info.st_size);
  (void)unlink(path);
  return status;
}

static int schema_version(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_SCHEMA_VERSION, "");
  return scenario_finish(hash, store, &request, err);
}

static int migrations(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MIGRATIONS, "");
  return scenario_finish(hash, store, &request, err);
}

static int migrate_down(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = request_of(CONVSTORE_MIGRATE, "");
  request.target = 0;
  return scenario_finish(hash, store, &request, err);
}

#define SCENARIO(function)                                                                                   \
  { #function, function }
/* One of another file. */
#define PART(function)                                                                                       \
  { #function, scenario_##function }

const struct scenario scenarios[] = {
    SCENARIO(create_one),
    SCENARIO(create_again),
    SCENARIO(conversation_new),
    SCENARIO(conversation_known),
    SCENARIO(get),
    SCENARIO(update),
    SCENARIO(delete_one),
    SCENARIO(restore),
    SCENARIO(purge),
    SCENARIO(append_one),
    SCENARIO(append_many),
    SCENARIO(append_replayed),
    SCENARIO(append_parts),
    SCENARIO(append_parts_replayed),
    SCENARIO(append_to_archived),
    SCENARIO(append_to_parted),
    SCENARIO(message_by_seq),
    SCENARIO(message_by_id),
    SCENARIO(history),
    SCENARIO(history_parted),
    SCENARIO(history_of_roles),
    SCENARIO(history_of_bytes),
    SCENARIO(bounds),
    SCENARIO(annotate),
    SCENARIO(redact),
    PART(fork),
    PART(fork_again),
    PART(fork_archived),
    PART(summarize),
    PART(context),
    PART(context_of_tokens),
    PART(context_without_system),
    PART(context_archived),
    PART(context_openai_json),
    PART(context_anthropic),
    PART(context_anthropic_live),
    PART(list),
    PART(list_behind),
    PART(list_created),
    PART(list_deleted),
    PART(list_created_deleted),
    PART(messages),
    PART(messages_behind),
    PART(usage_by_role),
    PART(usage_by_day),
    PART(usage_by_conversation),
    PART(search_unindexed),
    PART(search_that_indexes),
    PART(search_indexed),
    PART(search_behind),
    PART(search_conversation),
    PART(redact_indexed),
    PART(append_to_indexed),
    PART(delete_indexed),
    PART(purge_indexed),
    PART(purge_first_indexed),
    SCENARIO(transaction),
    SCENARIO(nested_transaction),
    SCENARIO(users),
    SCENARIO(stats),
    SCENARIO(check),
    SCENARIO(backup),
    SCENARIO(schema_version),
    SCENARIO(migrations),
    SCENARIO(scenario_purge_old),
    SCENARIO(scenario_purge_limited),
    SCENARIO(scenario_archive),
    SCENARIO(scenario_erase),
    SCENARIO(scenario_shrink),
    SCENARIO(migrate_down),
};
const size_t n_scenarios = sizeof scenarios / sizeof *scenarios;

bool scenario_is_search(const struct scenario *scenario) {
  return strncmp(scenario->name, "search", strlen("search")) == 0;
}

bool scenario_is_migration(const struct scenario *scenario) {
  return scenario->run == migrate_down;
}

/* ---- the database ---- */

void scenario_create(convstore *store, const char *user_id, const char *id, const char *key) {
  convstore_request request = scenario_request(CONVSTORE_CREATE, user_id, "");
  uint64_t ignored;
  memcpy(request.conversation.id, id, CONVSTORE_ID_SIZE);
  request.conversation.key = scenario_text(key);
  request.conversation.title = scenario_text("A title");
  request.conversation.metadata = scenario_text("{\"language\":\"en\"}");
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);
}

static void create(convstore *store, const char *id, const char *key) {
  uint64_t ignored;
  scenario_create(store, "alice", id, key);
  CHECK_INT(append(&ignored, store, id, 1, 6, NULL), CONVSTORE_OK);
  convstore_message message = full_message(PARTS_MESSAGE, CONVSTORE_ROLE_USER);
  message.content = (convstore_text){0};
  message.parts = scenario_text("[{\"type\":\"text\",\"text\":\"" LONG_TEXT "\"}]");
  convstore_request request = request_of(CONVSTORE_APPEND, id);
  request.messages = &message;
  request.n_messages = 1;
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);
}

void scenario_make(const char *path) {
  convstore__wall_ms = support_clock;
  convstore__sqlite_part_ms = INT32_MAX;
  (void)remove(path);
  convstore *store = support_open(path, NULL);
  if (!store) return;
  create(store, LIVE_ID, "telegram:7");
  create(store, DELETED_ID, "telegram:5");
  create(store, ARCHIVED_ID, "telegram:6");
  create(store, PARTED_ID, "telegram:4");
  scenario_make_chat(store);
  scenario_make_long(store);
  scenario_make_indexed(store);
  convstore_request request = request_of(CONVSTORE_DELETE, DELETED_ID);
  uint64_t ignored;
  CHECK_INT(scenario_finish(&ignored, store, &request, NULL), CONVSTORE_OK);
  convstore_close(store);
  support_sql(
      path, "INSERT INTO convstore_messages_archive SELECT * FROM convstore_messages"
            " WHERE conversation_id = '" ARCHIVED_ID "' OR conversation_id = '" PARTED_ID "' AND seq <= 4;"
            "DELETE FROM convstore_messages"
            " WHERE conversation_id = '" ARCHIVED_ID "' OR conversation_id = '" PARTED_ID "' AND seq <= 4;"
            "UPDATE convstore_conversations SET archived_seq = 4 WHERE id = '" PARTED_ID "';"
            "UPDATE convstore_conversations SET archived_at = 1, archived_seq = last_seq, status = 'archived'"
            " WHERE id = '" ARCHIVED_ID "';"
            "INSERT INTO convstore_summaries (user_id, conversation_id, ordinal, through, content,"
            " token_count, created_at) VALUES ('alice', '" ARCHIVED_ID "', 1, 4, '" LONG_TEXT "', 50, 1);");
  scenario_make_old(path);
  support_check_database(path);
}
