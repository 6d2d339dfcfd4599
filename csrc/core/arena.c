/*
 * The memory of one result: a list of chunks that grow. It knows nothing of what lies in them.
 * The first chunk and the list's head are one allocation of about 1 KiB, small enough for malloc's per-thread
 * cache: the result of a call that returns one short message costs one malloc and one free.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
  FIRST_CHUNK = 1000, /* bytes, headers included; glibc keeps freed blocks up to 1032 bytes at hand */
  LAST_CHUNK = 256 * 1024
};

struct chunk {
  struct chunk *next;
  alignas(max_align_t) unsigned char data[];
};

struct convstore_arena {
  struct chunk *chunks; /* all but the first, in no order */
  unsigned char *free;  /* the rest of the chunk in use */
  size_t n_free;
  size_t chunk_size; /* of the next chunk */
  alignas(max_align_t) unsigned char first[];
};

static size_t round_up(size_t size) {
  return (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

struct convstore_arena *convstore__arena(convstore_result *result) {
  if (!result->memory) {
    struct convstore_arena *arena = malloc(FIRST_CHUNK);
    if (!arena) return NULL;
    arena->chunks = NULL;
    arena->free = arena->first;
    arena->n_free = FIRST_CHUNK - sizeof(struct convstore_arena);
    arena->chunk_size = 4 * 1024;
    result->memory = arena;
  }
  return result->memory;
}

static struct chunk *add_chunk(struct convstore_arena *arena, size_t size) {
  struct chunk *chunk = malloc(sizeof(struct chunk) + size);
  if (chunk) {
    chunk->next = arena->chunks;
    arena->chunks = chunk;
  }
  return chunk;
}

void *convstore__arena_alloc(struct convstore_arena *arena, size_t size) {
  if (size > SIZE_MAX / 2) return NULL;
  size = size ? round_up(size) : alignof(max_align_t);
  if (size > arena->n_free) {
    /* What would waste much of a new chunk gets one of its own; the current one stays in use. */
    if (size > arena->chunk_size / 4) {
      struct chunk *own = add_chunk(arena, size);
      return own ? own->data : NULL;
    }
    struct chunk *chunk = add_chunk(arena, arena->chunk_size - sizeof(struct chunk));
    if (!chunk) return NULL;
    arena->free = chunk->data;
    arena->n_free = arena->chunk_size - sizeof(struct chunk);
    if (arena->chunk_size < LAST_CHUNK) arena->chunk_size *= 2;
  }
  void *block = arena->free;
  arena->free += size;
  arena->n_free -= size;
  return block;
}

char *convstore__arena_copy(struct convstore_arena *arena, const char *data, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = convstore__arena_alloc(arena, size + 1);
  if (copy) {
    if (size > 0) memcpy(copy, data, size);
    copy[size] = '\0';
  }
  return copy;
}

void convstore__arena_free(struct convstore_arena *arena) {
  if (!arena) return;
  for (struct chunk *chunk = arena->chunks; chunk;) {
    struct chunk *next = chunk->next;
    free(chunk);
    chunk = next;
  }
  free(arena);
}
