/* See window.h. */
#include "window.h"

#include <string.h>

#include "json.h"

/* What was met of the results of one id since a call of that id was met last. */
struct convstore_pending {
  convstore_text id; /* absent: a free place */
  uint64_t hash;
  const convstore_message *first; /* the oldest so far: the one that counts; NULL: none */
  int64_t n;                      /* how many, those that do not count and are not redacted included */
  int64_t claimed_by;             /* seq of the call that claimed the last ones */
};

void convstore__window_start(struct convstore_window *out, struct convstore_arena *arena, int64_t last_seq,
                             int64_t max_tokens, int64_t max_messages) {
  *out = (struct convstore_window){
      .arena = arena, .last_seq = last_seq, .max_tokens = max_tokens, .max_messages = max_messages};
}

bool convstore__has_content(const convstore_message *message) {
  return message->content.data != NULL || message->parts.data != NULL;
}

int64_t convstore__add_tokens(int64_t sum, int64_t tokens) {
  if (tokens < 0) return sum;
  return tokens > INT64_MAX - sum ? INT64_MAX : sum + tokens;
}

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a context");
}

static const convstore_message *keep(struct convstore_window *window, const convstore_message *message) {
  convstore_message *copy = convstore__arena_alloc(window->arena, sizeof *copy);
  if (copy != NULL) *copy = *message;
  return copy;
}

/* ---- results that wait ----------------------------------------------------------------------------------------- */

/* FNV-1a */
static uint64_t hash_of(convstore_text id) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (size_t i = 0; i < id.size; i++) hash = (hash ^ (unsigned char)id.data[i]) * UINT64_C(0x100000001B3);
  return hash;
}

/* The place of an id in a table that has a free one: its own, or the one to put it. */
static struct convstore_pending *place_of(struct convstore_pending *table, size_t size, convstore_text id,
                                          uint64_t hash) {
  size_t i = (size_t)hash & (size - 1);
  while (table[i].id.data != NULL && (table[i].hash != hash || table[i].id.size != id.size ||
                                      memcmp(table[i].id.data, id.data, id.size) != 0))
    i = (i + 1) & (size - 1);
  return &table[i];
}

static bool grow_pending(struct convstore_window *window) {
  size_t size = window->pending_size == 0 ? 16 : window->pending_size * 2;
  struct convstore_pending *table = convstore__arena_alloc(window->arena, size * sizeof *table);
  if (table == NULL) return false;
  memset(table, 0, size * sizeof *table);
  for (size_t i = 0; i < window->pending_size; i++) {
    const struct convstore_pending *old = &window->pending[i];
    if (old->id.data != NULL) *place_of(table, size, old->id, old->hash) = *old;
  }
  window->pending = table;
  window->pending_size = size;
  return true;
}

static int add_result(struct convstore_window *window, const convstore_message *message,
                      convstore_error *err) {
  convstore_text id = message->tool_call_id;
  if (id.data == NULL) return CONVSTORE_OK; /* answers nothing: damage, since the database wants one */
  const convstore_message *copy = keep(window, message);
  if (copy == NULL || (window->n_pending + 1 > window->pending_size / 2 && !grow_pending(window)))
    return no_memory(err);
  uint64_t hash = hash_of(id);
  struct convstore_pending *pending = place_of(window->pending, window->pending_size, id, hash);
  if (pending->id.data == NULL) {
    *pending = (struct convstore_pending){.id = id, .hash = hash};
    window->n_pending++;
  }
  pending->first = copy;
  pending->n += message->redacted_at_ms == CONVSTORE_ABSENT;
  return CONVSTORE_OK;
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

static int fail_too_large(const struct convstore_window *window, convstore_error *err) {
  int64_t seq = window->newest.call_seq;
  int64_t tokens = window->newest.tokens;
  int64_t n_messages = window->newest.n_messages;
  if (n_messages > window->max_messages)
    return convstore_fail(err, CONVSTORE_E_TOO_LARGE,
                          "the newest tool exchange, from message %lld on, has %lld messages and max_messages"
                          " is %lld; raise it",
                          (long long)seq, (long long)n_messages, (long long)window->max_messages);
  return convstore_fail(
      err, CONVSTORE_E_TOO_LARGE,
      "the newest message, %lld%s, has %lld tokens and max_tokens leaves room for %lld; raise"
      " max_tokens, or lower reserve",
      (long long)seq, n_messages > 1 ? " with its results" : "", (long long)tokens,
      (long long)window->max_tokens);
}

static bool grow_items(struct convstore_window *window) {
  size_t capacity = window->capacity == 0 ? 16 : window->capacity * 2;
  struct convstore_item *items = convstore__arena_alloc(window->arena, capacity * sizeof *items);
  if (items == NULL) return false;
  if (window->n_items > 0) memcpy(items, window->items, window->n_items * sizeof *items);
  window->items = items;
  window->capacity = capacity;
  return true;
}

/* Whether this item has a newer message than all before. */
static void note_newest(struct convstore_window *window, int64_t seq, int64_t call_seq, int64_t tokens,
                        int64_t n_messages) {
  if (seq <= window->newest.seq) return;
  window->newest.seq = seq;
  window->newest.call_seq = call_seq;
  window->newest.tokens = tokens;
  window->newest.n_messages = n_messages;
  window->newest.never_fits = tokens > window->max_tokens || n_messages > window->max_messages;
}

/* Whether a result waits for its call that is newer than all messages of items. */
static bool newer_waits(const struct convstore_window *window) {
  for (size_t i = 0; i < window->pending_size; i++) {
    const struct convstore_pending *pending = &window->pending[i];
    if (pending->id.data != NULL && pending->first != NULL && pending->first->seq > window->newest.seq &&
        pending->first->redacted_at_ms == CONVSTORE_ABSENT && convstore__has_content(pending->first))
      return true;
  }
  return false;
}

/* Takes an item in, or finds that it does not fit and that the window is full. */
static int add_item(struct convstore_window *window, const convstore_message *message,
                    const convstore_message **results, size_t n_results, convstore_error *err) {
  int64_t n_messages = (int64_t)n_results + 1;
  int64_t tokens = convstore__add_tokens(0, message->token_count);
  int64_t newest_seq = message->seq;
  for (size_t i = 0; i < n_results; i++) {
    tokens = convstore__add_tokens(tokens, results[i]->token_count);
    if (results[i]->seq > newest_seq) newest_seq = results[i]->seq;
  }
  note_newest(window, newest_seq, message->seq, tokens, n_messages);
  if (window->is_full) return CONVSTORE_OK;
  if (tokens > window->max_tokens - window->tokens ||
      n_messages > window->max_messages - window->n_messages) {
    window->is_full = true;
    return window->n_items > 0 ? CONVSTORE_OK : fail_too_large(window, err);
  }
  const convstore_message *copy = keep(window, message);
  if (copy == NULL || (window->n_items == window->capacity && !grow_items(window))) return no_memory(err);
  window->items[window->n_items++] =
      (struct convstore_item){.message = copy, .results = results, .n_results = n_results};
  window->tokens += tokens;
  window->n_messages += n_messages;
  window->is_full = window->n_messages == window->max_messages;
  return CONVSTORE_OK;
}

/* What a call finds among the results that wait. */
struct claim {
  const convstore_message **results;
  size_t n_results;
  int64_t n_own; /* of the messages behind the call: its results, those that do not count included */
  bool is_missing;
  bool is_torn; /* a result that counts has nothing to say any more, or never had */
};

/* `call` is an object, or of a redacted message what is left of it: its id. */
static void claim_one(struct claim *claim, struct convstore_window *window, const json_t *call, int64_t seq) {
  const json_t *value = json_is_string(call) ? call : json_object_get(call, "id");
  convstore_text id = {json_string_value(value), json_string_length(value)};
  struct convstore_pending *pending = NULL;
  if (id.data != NULL && window->pending_size > 0)
    pending = place_of(window->pending, window->pending_size, id, hash_of(id));
  if (pending != NULL && pending->id.data != NULL && pending->claimed_by == seq)
    return; /* an id that stands twice in one message is one call */
  if (pending == NULL || pending->first == NULL) {
    claim->is_missing = true;
    return;
  }
  if (pending->first->redacted_at_ms != CONVSTORE_ABSENT || !convstore__has_content(pending->first))
    claim->is_torn = true;
  claim->results[claim->n_results++] = pending->first;
  claim->n_own += pending->n;
  pending->claimed_by = seq;
  pending->first = NULL;
  pending->n = 0;
}

static int add_exchange(struct convstore_window *window, const convstore_message *message,
                        convstore_error *err) {
  struct claim claim = {0};
  json_t *calls = NULL;
  json_t *call;
  size_t i;
  int status = convstore__json_parse(&calls, message->tool_calls, "tool_calls", err);
  if (status == CONVSTORE_E_INVALID)
    return convstore_fail(err, CONVSTORE_E_CORRUPT,
                          "the tool_calls of message %lld are no JSON; restore a backup",
                          (long long)message->seq);
  if (status != CONVSTORE_OK) return status;
  claim.results = convstore__arena_alloc(window->arena, (json_array_size(calls) + 1) * sizeof *claim.results);
  if (claim.results == NULL) {
    json_decref(calls);
    return no_memory(err);
  }
  json_array_foreach(calls, i, call) {
    claim_one(&claim, window, call, message->seq);
  }
  json_decref(calls);

  if (message->redacted_at_ms != CONVSTORE_ABSENT) return CONVSTORE_OK; /* its results go with it */
  bool is_open = claim.n_own == window->last_seq - message->seq;        /* nothing else stands behind it */
  if (claim.is_torn || (claim.is_missing && !is_open)) return CONVSTORE_OK;
  return add_item(window, message, claim.results, claim.n_results, err);
}

static int add(struct convstore_window *window, const convstore_message *message, convstore_error *err) {
  switch (message->role) {
  case CONVSTORE_ROLE_TOOL:
    return add_result(window, message, err);
  case CONVSTORE_ROLE_USER:
  case CONVSTORE_ROLE_ASSISTANT:
    if (message->role == CONVSTORE_ROLE_ASSISTANT && message->tool_calls.data != NULL)
      return add_exchange(window, message, err);
    if (message->redacted_at_ms != CONVSTORE_ABSENT) return CONVSTORE_OK;
    return convstore__has_content(message) ? add_item(window, message, NULL, 0, err) : CONVSTORE_OK;
  default:
    return CONVSTORE_OK; /* pinned elsewhere */
  }
}

int convstore__window_end(const struct convstore_window *window, convstore_error *err) {
  return window->newest.never_fits ? fail_too_large(window, err) : CONVSTORE_OK;
}

int convstore__window_add(struct convstore_window *window, const convstore_message *message,
                          convstore_error *err) {
  if (window->enough) return CONVSTORE_OK;
  int status = add(window, message, err);
  if (status != CONVSTORE_OK || !window->is_full) return status;
  window->enough = window->n_looked++ >= CONVSTORE_WINDOW_LOOKS || !newer_waits(window);
  return window->enough ? convstore__window_end(window, err) : CONVSTORE_OK;
}
