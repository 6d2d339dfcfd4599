/*
 * The window of a context: which of the newest messages go to the model, whole tool exchanges or nothing of them.
 * It is fed a conversation's messages newest first, without gaps, and says when it has enough: so what is read depends
 * on the window and not on the history. It knows no database and no format.
 *
 * What it counts is items: a message, or a call with the results that count. An item is in the window where its own, or
 * its call's, seq is; so a result that was met waits, at no cost, until the nearest earlier call of its id claims it.
 */
#ifndef CONVSTORE_CORE_WINDOW_H
#define CONVSTORE_CORE_WINDOW_H

#include "arena.h"

struct convstore_item {
  const convstore_message *message;
  const convstore_message *
      *results; /* in the calls' order; what is missing of an open exchange is not in it */
  size_t n_results;
};

struct convstore_pending;

struct convstore_window {
  struct convstore_arena *arena;
  int64_t max_tokens;   /* INT64_MAX: no limit */
  int64_t max_messages; /* INT64_MAX: no limit */
  int64_t tokens;       /* of all items */
  int64_t n_messages;   /* in all items */
  bool enough;          /* nothing more need be fed */
  bool is_full;         /* no older message can be in it */
  int n_looked;         /* messages fed since then: see convstore__window_add() */
  struct {              /* the item with the newest of all messages that belong to one */
    int64_t seq;        /* that message's; 0: there is none */
    int64_t call_seq;
    int64_t tokens;
    int64_t n_messages;
    bool never_fits; /* not even alone */
  } newest;
  struct convstore_item *items; /* newest first */
  size_t n_items;
  size_t capacity;
  int64_t last_seq; /* of the conversation */
  struct convstore_pending
      *pending; /* results by the id of their call: a hash table, its size a power of two */
  size_t n_pending;
  size_t pending_size;
};

/* What the window keeps lies in `arena`. `last_seq` is the conversation's, whatever is fed. */
void convstore__window_start(struct convstore_window *out, struct convstore_arena *arena, int64_t last_seq,
                             int64_t max_tokens, int64_t max_messages);

/*
 * Feeds the message before those fed so far. The struct is copied where it is kept; its texts must live as long as the
 * arena. System and developer messages may be left out: that something stands behind a call, seqs tell.
 *
 * A result that came late is newer than what stands between it and its call. Where it is the newest message, a full
 * window looks on for that call, through CONVSTORE_WINDOW_LOOKS messages at most: where its exchange fits in no window,
 * there is none.
 * E_TOO_LARGE: the newest item does not fit; E_CORRUPT: tool_calls that are no JSON; E_MEMORY.
 */
#define CONVSTORE_WINDOW_LOOKS 1000
int convstore__window_add(struct convstore_window *window, const convstore_message *message,
                          convstore_error *err);

/* There is no older message. E_TOO_LARGE. */
int convstore__window_end(const struct convstore_window *window, convstore_error *err);

/* Whether there is something to say: "" is a content, attachments alone are none. */
bool convstore__has_content(const convstore_message *message);

/* A sum that stops at the largest integer; what is stored as less than nothing counts nothing. */
int64_t convstore__add_tokens(int64_t sum, int64_t tokens);

#endif
