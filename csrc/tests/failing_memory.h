/*
 * Allocations that fail when they are told to: the library's by the linker's --wrap (see the Makefile), jansson's and
 * SQLite's by their own hooks, Lua's by an allocator. All are counted in one row, so "the k-th" is any of them. Only
 * programs that are linked so may use it.
 */
#ifndef CONVSTORE_TESTS_FAILING_MEMORY_H
#define CONVSTORE_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_ALL_AFTER INT64_MAX

/* Before SQLite is first used. Without its lookaside, each of its allocations is one that can fail. False: SQLite
 * refuses. */
bool memory_take(void);

/* From now on allocation number `failing`, from 0, fails, and those after it until `n` have. */
void memory_arm(int64_t failing, int64_t n);
void memory_disarm(void);

/* Since the last arming: whether one has failed, and how many there were. */
bool memory_has_failed(void);
int64_t memory_allocations(void);

/* Blocks that are not freed yet: of malloc and its kin, of Lua; and bytes of SQLite. */
struct memory_live {
  int64_t blocks;
  int64_t lua_blocks;
  int64_t sqlite_bytes;
};
struct memory_live memory_live(void);

/* For an allocator of another kind: counts one that is about to be made, and says whether it must fail. */
bool memory_must_fail(void);

/* A lua_Alloc. Blocks that become smaller never fail, which Lua relies on. */
void *memory_lua(void *ignored, void *block, size_t old_size, size_t size);

#endif
