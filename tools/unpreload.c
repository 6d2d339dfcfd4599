/*
 * For `make asan`: preloaded after libasan.so, it takes LD_PRELOAD out of the environment, so that Lua runs with the
 * sanitizer and the shells and tools that it starts do not. Those are not ours, and some fail under it.
 */
#include <stdlib.h>

__attribute__((constructor)) static void unpreload(void) {
  unsetenv("LD_PRELOAD");
}
