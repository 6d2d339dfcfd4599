/* See failing_memory.h. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "failing_memory.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include <jansson.h>
#include <sqlite3.h>

static struct {
  bool armed;
  int64_t failing, n_failing;
  int64_t n;
  bool hit;
  int64_t n_live, n_lua;
  uintptr_t libpq_start, libpq_end;
} memory;

static bool must_fail(void) {
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
  return must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size) {
  return must_fail() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (must_fail()) return NULL;
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
  return must_fail() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc_hook(void *block, int size) {
  return must_fail() ? NULL : sqlite_memory.xRealloc(block, size);
}

void *memory_lua(void *ignored, void *block, size_t old_size, size_t size) {
  (void)ignored;
  if (size == 0) {
    memory.n_lua -= block != NULL;
    __real_free(block);
    return NULL;
  }
  if ((!block || size > old_size) && must_fail()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) memory.n_lua += moved != NULL;
  return moved;
}

/* ---- libpq's: a malloc of our own for the whole process, which fails for that caller alone ---- */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define OWN_MALLOC 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool is_libpq(const void *caller) {
  return (uintptr_t)caller >= memory.libpq_start && (uintptr_t)caller < memory.libpq_end;
}

void *malloc(size_t size) {
  return is_libpq(__builtin_return_address(0)) && must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
  return is_libpq(__builtin_return_address(0)) && must_fail() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t size) {
  return is_libpq(__builtin_return_address(0)) && must_fail() ? NULL : __libc_realloc(block, size);
}

static int find_libpq(struct dl_phdr_info *info, size_t size, void *ignored) {
  (void)size;
  (void)ignored;
  const char *name = strrchr(info->dlpi_name, '/');
  if (!name || strncmp(name, "/libpq.so", 9) != 0) return 0;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    memory.libpq_start = info->dlpi_addr + segment->p_vaddr;
    memory.libpq_end = memory.libpq_start + segment->p_memsz;
  }
  return 1;
}
#else
#define OWN_MALLOC 0
#endif

bool memory_has_libpq(void) {
  return memory.libpq_end > 0;
}

bool memory_take(void) {
#if OWN_MALLOC
  (void)dl_iterate_phdr(find_libpq, NULL);
#endif
  json_set_alloc_funcs(__wrap_malloc, __wrap_free);
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK) return false;
  sqlite3_mem_methods hooks = sqlite_memory;
  hooks.xMalloc = sqlite_malloc_hook;
  hooks.xRealloc = sqlite_realloc_hook;
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &hooks) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK && sqlite3_initialize() == SQLITE_OK;
}
