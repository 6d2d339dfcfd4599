/*
 * A context while a database reads it: what is pinned, the latest summary, the window, and at the end the result. Both
 * backends use it in this order: start; pin and summarize; open; add until `window.enough` or there is no more; finish.
 * It knows what a context is, and no SQL.
 */
#ifndef CONVSTORE_CORE_CONTEXT_H
#define CONVSTORE_CORE_CONTEXT_H

#include "backend.h"
#include "window.h"

struct convstore_context_builder {
  struct convstore_call *call;
  int64_t last_seq;
  int64_t through; /* the latest summary stands for 1 ... through; 0: there is none */
  int64_t
      n_system; /* system and developer messages behind it, which count neither as included nor as dropped */
  convstore_message *pinned; /* what stands at the beginning, the summary last */
  size_t n_pinned;
  size_t capacity;
  int64_t pinned_tokens;
  struct convstore_window window;
};

void convstore__context_start(struct convstore_context_builder *out, struct convstore_call *call,
                              int64_t last_seq, int64_t through);

/* A system or developer message, in the order of seq: counted, and pinned unless it is redacted or empty. With
 * no_system a backend counts them itself and pins none. E_MEMORY. */
int convstore__context_pin(struct convstore_context_builder *builder, const convstore_message *message);

/* The latest summary, behind what is pinned. E_MEMORY. */
int convstore__context_summarize(struct convstore_context_builder *builder, convstore_text content,
                                 int64_t token_count);

/* What is left of the request's limits is the window's. E_TOO_LARGE: less than nothing; E_MEMORY. */
int convstore__context_open(struct convstore_context_builder *builder);

/* The next older message, with seq > through; see window.h. */
int convstore__context_add(struct convstore_context_builder *builder, const convstore_message *message);

/* Fills the result, as the request's format says. E_TOO_LARGE, as of add; E_CORRUPT: stored JSON that is none;
 * E_MEMORY. */
int convstore__context_finish(struct convstore_context_builder *builder);

#endif
