/* See failing_memory.h. */
#include "failing_memory.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>
#include <sqlite3.h>

static struct {
  bool armed;
  int64_t failing, n_failing;
  int64_t n;
  bool hit;
  int64_t n_live, n_lua;
} memory;

bool memory_must_fail(void) {
  if (!memory.armed) return false;
  int64_t i = memory.n++;
  if (i < memory.failing || i - memory.failing >= memory.n_failing) return false;
  memory.hit = true;
  errno = ENOMEM;
  return true;
}

void memory_arm(int64_t failing, int64_t n) {
  memory.armed = true;
  memory.failing = failing;
  memory.n_failing = n;
  memory.n = 0;
  memory.hit = false;
}

void memory_disarm(void) {
  memory.armed = false;
}

bool memory_has_failed(void) {
  return memory.hit;
}

int64_t memory_allocations(void) {
  return memory.n;
}

struct memory_live memory_live(void) {
  return (struct memory_live){memory.n_live, memory.n_lua, sqlite3_memory_used()};
}

/* ---- the library's, by --wrap ---- */

static void *counted(void *block) {
  memory.n_live += block != NULL;
  return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *string);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size) {
  return memory_must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size) {
  return memory_must_fail() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (memory_must_fail()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

/* The C library's would take its memory past the others. */
char *__wrap_strdup(const char *string) {
  size_t size = strlen(string) + 1;
  char *copy = __wrap_malloc(size);
  return copy ? memcpy(copy, string, size) : NULL;
}

void __wrap_free(void *block) {
  memory.n_live -= block != NULL;
  __real_free(block);
}

/* ---- SQLite's, Lua's ---- */

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc_hook(int size) {
  return memory_must_fail() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc_hook(void *block, int size) {
  return memory_must_fail() ? NULL : sqlite_memory.xRealloc(block, size);
}

void *memory_lua(void *ignored, void *block, size_t old_size, size_t size) {
  (void)ignored;
  if (size == 0) {
    memory.n_lua -= block != NULL;
    __real_free(block);
    return NULL;
  }
  if ((!block || size > old_size) && memory_must_fail()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) memory.n_lua += moved != NULL;
  return moved;
}

bool memory_take(void) {
  json_set_alloc_funcs(__wrap_malloc, __wrap_free);
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK) return false;
  sqlite3_mem_methods hooks = sqlite_memory;
  hooks.xMalloc = sqlite_malloc_hook;
  hooks.xRealloc = sqlite_realloc_hook;
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &hooks) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK && sqlite3_initialize() == SQLITE_OK;
}
