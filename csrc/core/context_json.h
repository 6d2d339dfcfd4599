/* A context as the JSON text of chat-completions messages. */
#ifndef CONVSTORE_CORE_CONTEXT_JSON_H
#define CONVSTORE_CORE_CONTEXT_JSON_H

#include "arena.h"

/* Writes messages that have nothing but what an API takes. Stored JSON goes in as it is. E_MEMORY. */
int convstore__context_json(convstore_text *out, const convstore_message *messages, size_t n,
                            struct convstore_arena *arena, convstore_error *err);

#endif
