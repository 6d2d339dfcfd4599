/*
 * The memory of one result: allocated piece by piece, freed at once. It knows nothing of what lies in it.
 * One block list per result instead of a malloc per text makes a history of 10,000 messages a few dozen allocations.
 */
#ifndef CONVSTORE_CORE_ARENA_H
#define CONVSTORE_CORE_ARENA_H

#include "../convstore.h"

/* The result's arena, made on first use. NULL: out of memory. */
struct convstore_arena *convstore__arena(convstore_result *result);

/* `size` bytes, aligned for any type, not zeroed. NULL: out of memory. Lives until the arena is freed. */
void *convstore__arena_alloc(struct convstore_arena *arena, size_t size);

/* A NUL-ended copy of `size` bytes. NULL: out of memory. */
char *convstore__arena_copy(struct convstore_arena *arena, const char *data, size_t size);

/* Frees the arena and all that came from it. NULL is fine. */
void convstore__arena_free(struct convstore_arena *arena);

#endif
