/* The two clocks. Kept in one place so that C tests can set the wall clock. */
#define _POSIX_C_SOURCE 200809L

#include "clock.h"

#include <time.h>

static int64_t read_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now); /* cannot fail for these two clocks and a valid address */
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void) {
  return read_ms(CLOCK_REALTIME);
}

int64_t (*convstore__wall_ms)(void) = system_wall_ms;

int64_t convstore__monotonic_ms(void) {
  return read_ms(CLOCK_MONOTONIC);
}
