/* See segment_check.h. */
#include "segment_check.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "uuid.h"

/* Only the first thing: what follows is often its consequence. */
static void note(struct convstore_segment_check *check, const char *words) {
  if (check->wrong[0] == '\0')
    (void)snprintf(check->wrong, sizeof check->wrong, "%.*s", (int)sizeof check->wrong - 1, words);
}

/* What a reader says of a blob, without what it says to who searches. */
static void note_unreadable(struct convstore_segment_check *check, const convstore_error *err) {
  const char *reason = strstr(err->message, "damaged: ");
  note(check, reason != NULL ? reason + strlen("damaged: ") : err->message);
}

int convstore__segment_check_start(struct convstore_segment_check *check, int64_t n_messages,
                                   convstore_text messages, struct convstore_arena *arena,
                                   convstore_error *err) {
  convstore_error reason = {0};
  check->wrong[0] = '\0';
  check->n_runs = check->next_run = 0;
  int status = convstore__read_messages(&check->messages, messages.data, messages.size, arena, &reason);
  if (status == CONVSTORE_E_MEMORY) return convstore_fail(err, status, "not enough memory");
  if (status != CONVSTORE_OK) {
    check->messages.n = check->messages.n_runs = 0;
    note_unreadable(check, &reason);
    return CONVSTORE_OK;
  }
  size_t n = check->messages.n;
  if ((int64_t)n != n_messages) note(check, "its list of messages has another length than its count of them");
  if (n > check->room) {
    check->places = convstore__arena_alloc(arena, n * sizeof *check->places);
    check->room = check->places != NULL ? n : 0;
    if (check->places == NULL) return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory");
  }
  if (n > 0) memset(check->places, 0, n * sizeof *check->places);
  return CONVSTORE_OK;
}

/* How many messages a run of the list has. */
static size_t length_of(const struct convstore_segment_messages *messages, size_t i) {
  size_t end = i + 1 < messages->n_runs ? messages->runs[i + 1].first : messages->n;
  return end - messages->runs[i].first;
}

void convstore__segment_check_run(struct convstore_segment_check *check, const char *conversation_id,
                                  int64_t first_seq, int64_t last_seq) {
  const struct convstore_segment_messages *messages = &check->messages;
  unsigned char id[CONVSTORE_ID_BYTES];
  convstore__id_pack(id, conversation_id);
  /* They mostly come in the order of the list. */
  for (size_t tried = 0; tried < messages->n_runs; tried++) {
    size_t i = (check->next_run + tried) % messages->n_runs;
    const struct convstore_segment_run *run = &messages->runs[i];
    if (run->first_seq != first_seq || memcmp(run->id, id, sizeof id) != 0) continue;
    if (last_seq - first_seq + 1 != (int64_t)length_of(messages, i)) break;
    check->next_run = i + 1;
    check->n_runs++;
    return;
  }
  note(check, "a run is not that of its list of messages");
}

/* One term's postings. False: they make no sense; check->wrong says why. */
static bool check_term(struct convstore_segment_check *check, const struct convstore_term_cursor *term) {
  struct convstore_message_cursor cursor = {.at = term->postings, .end = term->postings_end};
  const struct convstore_segment_messages *messages = &check->messages;
  convstore_error reason = {0};
  for (;;) {
    if (convstore__message_cursor_next(&cursor, messages->n, &reason) != CONVSTORE_OK) {
      note_unreadable(check, &reason);
      return false;
    }
    if (cursor.message == SIZE_MAX) return true;
    const unsigned char *places = cursor.places;
    uint64_t most = (uint64_t)messages->n_tokens[cursor.message] * 2 + 1;
    uint64_t place = 0;
    for (uint32_t i = 0; i < cursor.n; i++) {
      uint32_t later = convstore__next_place(&places);
      place += later;
      if (later < 2 || place > most) {
        note(check, "a term is at a place that its message has not");
        return false;
      }
    }
    check->places[cursor.message] += cursor.n;
  }
}

void convstore__segment_check_postings(struct convstore_segment_check *check, int64_t bucket,
                                       convstore_text postings) {
  struct convstore_term_cursor cursor;
  struct convstore_term_cursor before = {.term = NULL};
  convstore_error reason = {0};
  bool found = true;
  if (check->wrong[0] != '\0') return;
  int status = convstore__term_cursor_start(&cursor, postings.data, postings.size, &reason);
  while (status == CONVSTORE_OK) {
    status = convstore__term_cursor_next(&found, &cursor, &reason);
    if (status != CONVSTORE_OK || !found) break;
    if ((int64_t)convstore__term_bucket(cursor.term, cursor.size) != bucket) {
      note(check, "a term is in another bucket than its own");
      return;
    }
    if (before.term != NULL &&
        convstore__term_order(0, before.term, before.size, 0, cursor.term, cursor.size) >= 0) {
      note(check, "terms are not in their order");
      return;
    }
    before = cursor;
    if (!check_term(check, &cursor)) return;
  }
  if (status != CONVSTORE_OK) note_unreadable(check, &reason);
}

bool convstore__segment_check_end(struct convstore_segment_check *check) {
  const struct convstore_segment_messages *messages = &check->messages;
  size_t n = 0;
  for (size_t i = 0; check->wrong[0] == '\0' && i < messages->n; i++)
    n += check->places[i] != messages->n_tokens[i];
  if (n > 0) {
    char words[64];
    (void)snprintf(words, sizeof words, "words of %zu of its messages are not in it", n);
    note(check, words);
  }
  if (check->n_runs != messages->n_runs) note(check, "a run of its list of messages is missing");
  return check->wrong[0] == '\0';
}

int convstore__segment_check_tell(const struct convstore_segment_check *check, convstore_text user_id,
                                  const char *conversation_id, int64_t segment_id, size_t *capacity,
                                  struct convstore_call *call) {
  static const char word[] = "search";
  char detail[CONVSTORE_MAX_USER_ID + sizeof check->wrong + 64];
  int size = snprintf(detail, sizeof detail, "user \"%.*s\": segment %lld is damaged: %s",
                      (int)(user_id.size < CONVSTORE_MAX_USER_ID ? user_id.size : CONVSTORE_MAX_USER_ID),
                      user_id.data, (long long)segment_id, check->wrong);
  convstore_problem problem = {.problem = {word, sizeof word - 1}};
  memcpy(problem.conversation_id, conversation_id, CONVSTORE_ID_SIZE);
  problem.detail.size = (size_t)size;
  problem.detail.data = convstore__arena_copy(call->result->memory, detail, problem.detail.size);
  if (problem.detail.data == NULL) return convstore_fail(call->err, CONVSTORE_E_MEMORY, "not enough memory");
  return convstore__problem_add(capacity, call, &problem);
}
