/* Searches, and what the messages of an index go through; see scenario.h. */
#include <stdio.h>
#include <string.h>

#include "../core/segment_size.h"
#include "check.h"
#include "scenario_parts.h"

/* ---- searching ---- */

static convstore_request search_of(const char *user_id, const char *text) {
  convstore_request request = scenario_request(CONVSTORE_SEARCH, user_id, "");
  request.text = scenario_text(text);
  request.limit = 3;
  return request;
}

/* Parts and the archive, too; of all kinds of units. */
int scenario_search_unindexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request =
      search_of("alice", "\"quick brown\" LAZY gr\xC3\xBC\xC3\x9F \xE4\xBD\xA0\xE5\xA5\xBD -absent");
  return scenario_finish(hash, store, &request, err);
}

/* Its first step is to make a segment of what is not indexed. */
int scenario_search_that_indexes(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = search_of("bob", "tock");
  return scenario_finish(hash, store, &request, err);
}

int scenario_search_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = search_of("carol", "tick \"tick tock\" -2 -6");
  request.roles = 1U << CONVSTORE_ROLE_ASSISTANT;
  return scenario_finish(hash, store, &request, err);
}

int scenario_search_behind(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = search_of("carol", "7");
  convstore_result first = {0};
  request.limit = 1;
  int status = convstore_run(&first, store, &request, err);
  if (status == CONVSTORE_OK) {
    request.cursor = first.cursor;
    status = scenario_finish(hash, store, &request, err);
  }
  convstore_result_free(&first);
  return status;
}

int scenario_search_conversation(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = scenario_request(CONVSTORE_SEARCH, "carol", NEIGHBOUR_ID);
  request.text = scenario_text("tick");
  return scenario_finish(hash, store, &request, err);
}

/* ---- changing what is indexed ---- */

int scenario_redact_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = scenario_request(CONVSTORE_REDACT, "carol", INDEXED_ID);
  request.seq = 5;
  return scenario_finish(hash, store, &request, err);
}

int scenario_delete_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = scenario_request(CONVSTORE_DELETE, "carol", INDEXED_ID);
  return scenario_finish(hash, store, &request, err);
}

int scenario_purge_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = scenario_request(CONVSTORE_PURGE, "carol", NEIGHBOUR_ID);
  return scenario_finish(hash, store, &request, err);
}

/* The one that the segment is filed under. */
int scenario_purge_first_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  convstore_request request = scenario_request(CONVSTORE_PURGE, "carol", INDEXED_ID);
  return scenario_finish(hash, store, &request, err);
}

/* Short messages with few different words: numbers first ... first + n - 1. */
static int append(uint64_t *hash, convstore *store, const char *user_id, const char *id, int first, int n,
                  convstore_error *err) {
  static const char *const words[] = {"tick", "tock", "tick tock", "tick, tack, tock"};
  convstore_message messages[CONVSTORE_SEGMENT_MIN];
  char contents[CONVSTORE_SEGMENT_MIN][40];
  convstore_request request = scenario_request(CONVSTORE_APPEND, user_id, id);
  for (int i = 0; i < n; i++) {
    int number = first + i;
    messages[i] = (convstore_message)CONVSTORE_MESSAGE_INIT;
    (void)snprintf(messages[i].id, sizeof messages[i].id, "0190f5a8-0000-7000-9002-%012d", number);
    messages[i].role = number % 2 ? CONVSTORE_ROLE_USER : CONVSTORE_ROLE_ASSISTANT;
    messages[i].created_at_ms = INT64_C(1769900000000) + number * INT64_C(60000);
    (void)snprintf(contents[i], sizeof contents[i], "%s %d", words[number % 4], number % 16);
    messages[i].content = scenario_text(contents[i]);
  }
  request.messages = messages;
  request.n_messages = (size_t)n;
  return scenario_finish(hash, store, &request, err);
}

int scenario_append_to_indexed(uint64_t *hash, convstore *store, convstore_error *err) {
  return append(hash, store, "carol", NEIGHBOUR_ID, 1000, 2, err);
}

/* ---- the database ---- */

void scenario_make_long(convstore *store) {
  uint64_t ignored;
  scenario_create(store, "bob", LONG_ID, "long");
  CHECK_INT(append(&ignored, store, "bob", LONG_ID, 1, CONVSTORE_SEGMENT_MIN, NULL), CONVSTORE_OK);
}

void scenario_make_indexed(convstore *store) {
  enum {
    N_NEIGHBOUR = 20,
    N_LATER = 3
  };
  uint64_t ignored;
  scenario_create(store, "carol", INDEXED_ID, "indexed");
  scenario_create(store, "carol", NEIGHBOUR_ID, "neighbour");
  CHECK_INT(append(&ignored, store, "carol", INDEXED_ID, 1, CONVSTORE_SEGMENT_MIN - N_NEIGHBOUR, NULL),
            CONVSTORE_OK);
  CHECK_INT(append(&ignored, store, "carol", NEIGHBOUR_ID, 1, N_NEIGHBOUR, NULL), CONVSTORE_OK);
  CHECK_INT(scenario_search_indexed(&ignored, store, NULL), CONVSTORE_OK); /* makes the segment */
  CHECK_INT(append(&ignored, store, "carol", INDEXED_ID, 500, N_LATER, NULL), CONVSTORE_OK);
}
