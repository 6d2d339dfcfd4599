/* See scenario_retention.h. Dave's one conversation has so many runs in the search index that a part takes only its
 * end. The segments are empty: nobody searches what is Dave's. */
#include "scenario_retention.h"

#include <string.h>

#include "check.h"
#include "scenario_parts.h"
#include "support.h"

#define OLD_ID "0190f5a8-0000-7000-8000-00000000000d"
#define FUTURE_MS 4102444800000 /* 2100-01-01 */

static int run(uint64_t *hash, convstore *store, convstore_request *request, convstore_error *err) {
  convstore_result result = {0};
  scenario_note(request->operation);
  int status = convstore_run(&result, store, request, err);
  if (status == CONVSTORE_OK)
    *hash = support_hash_result(&result) * 31 + (uint64_t)(result.n_conversations * 1000) +
            (uint64_t)result.n_messages_changed;
  convstore_result_free(&result);
  return status;
}

static convstore_request idle(convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.idle_before_ms = FUTURE_MS;
  return request;
}

int scenario_purge_old(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = idle(CONVSTORE_PURGE_OLD);
  return run(hash, store, &request, err);
}

int scenario_purge_limited(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = idle(CONVSTORE_PURGE_OLD);
  request.idle_before_ms = CONVSTORE_ABSENT;
  request.deleted_before_ms = FUTURE_MS;
  request.limit = 1;
  return run(hash, store, &request, err);
}

int scenario_archive(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = idle(CONVSTORE_ARCHIVE);
  return run(hash, store, &request, err);
}

static int erase(uint64_t *hash, convstore *store, const char *user_id, convstore_error *err) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = CONVSTORE_ERASE;
  request.user_id = (convstore_text){user_id, strlen(user_id)};
  return run(hash, store, &request, err);
}

int scenario_erase(uint64_t *hash, convstore *store, convstore_error *err) {
  return erase(hash, store, "alice", err);
}

int scenario_shrink(uint64_t *hash, convstore *store, convstore_error *err) {
  return erase(hash, store, "dave", err);
}

void scenario_make_old(const char *path) {
  convstore *store = support_open(path, NULL);
  if (!store) return;
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_message messages[8];
  uint64_t ignored;
  request.operation = CONVSTORE_CREATE;
  request.user_id = (convstore_text){"dave", 4};
  memcpy(request.conversation.id, OLD_ID, sizeof OLD_ID);
  CHECK_INT(run(&ignored, store, &request, NULL), CONVSTORE_OK);
  for (size_t i = 0; i < 8; i++) {
    messages[i] = (convstore_message)CONVSTORE_MESSAGE_INIT;
    messages[i].role = i % 2 == 0 ? CONVSTORE_ROLE_SYSTEM : CONVSTORE_ROLE_USER;
    messages[i].content = (convstore_text){"old", 3};
    memcpy(messages[i].id, OLD_ID, sizeof OLD_ID);
    messages[i].id[19] = '9';
    messages[i].id[35] = (char)('0' + i);
  }
  request.operation = CONVSTORE_APPEND;
  memcpy(request.conversation_id, OLD_ID, sizeof OLD_ID);
  request.messages = messages;
  request.n_messages = 8;
  CHECK_INT(run(&ignored, store, &request, NULL), CONVSTORE_OK);
  convstore_close(store);
  support_sql(path,
              "WITH seqs (seq) AS (VALUES (3), (4), (5), (6), (7), (8))"
              " INSERT INTO convstore_search_segments (user_id, id, conversation_id, n_messages, messages)"
              " SELECT 'dave', seq, '" OLD_ID "', 1, x'' FROM seqs;"
              "INSERT INTO convstore_search_runs (user_id, conversation_id, first_seq, last_seq, segment_id)"
              " SELECT user_id, conversation_id, id, id, id FROM convstore_search_segments"
              " WHERE user_id = 'dave';"
              "INSERT INTO convstore_summaries (user_id, conversation_id, ordinal, through, content,"
              " token_count, created_at) VALUES ('dave', '" OLD_ID "', 1, 2, 'stays', 1, 1),"
              " ('dave', '" OLD_ID "', 2, 7, 'goes', 1, 1);");
}
