/* A context as Anthropic's messages API takes it. Knows that API's shapes, and no storage. */
#ifndef CONVSTORE_CORE_ANTHROPIC_H
#define CONVSTORE_CORE_ANTHROPIC_H

#include "arena.h"

/*
 * Writes messages[n], of which the first n_pinned are system text, and results stand directly behind their call. Fills
 * of *context all but `dropped`, for what is really there, and *n_included: how many of the messages behind the pinned
 * ones are. E_CORRUPT: stored JSON that is none; E_MEMORY.
 */
int convstore__anthropic_write(convstore_text *out, convstore_context *context, int64_t *n_included,
                               const convstore_message *messages, size_t n_pinned, size_t n,
                               struct convstore_arena *arena, convstore_error *err);

#endif
