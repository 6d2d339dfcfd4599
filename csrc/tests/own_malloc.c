/*
 * libpq's allocations: a malloc for the whole process, as glibc allows a program to have one, which fails for that
 * caller alone. Nothing is done where a sanitizer has a malloc of its own, or the C library is another.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "own_malloc.h"

#include <link.h>
#include <string.h>

#include "failing_memory.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

static uintptr_t libpq_start, libpq_end;

/* Not by <stdlib.h>, whose names of parameters are reserved ones. */
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *block, size_t size);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool must_fail(const void *caller) {
  return (uintptr_t)caller >= libpq_start && (uintptr_t)caller < libpq_end && memory_must_fail();
}

void *malloc(size_t size) {
  return must_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
  return must_fail(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t size) {
  return must_fail(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

static int find_libpq(struct dl_phdr_info *info, size_t size, void *ignored) {
  (void)size;
  (void)ignored;
  const char *name = strrchr(info->dlpi_name, '/');
  if (!name || strncmp(name, "/libpq.so", 9) != 0) return 0;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    libpq_start = info->dlpi_addr + segment->p_vaddr;
    libpq_end = libpq_start + segment->p_memsz;
  }
  return 1;
}

bool own_malloc_take_libpq(void) {
  return dl_iterate_phdr(find_libpq, NULL) == 1 && libpq_end > 0;
}

#else

bool own_malloc_take_libpq(void) {
  return false;
}

#endif
