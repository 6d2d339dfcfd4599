/* The two clocks. Kept in one place so that C tests can set the wall clock. */
#ifndef CONVSTORE_CORE_CLOCK_H
#define CONVSTORE_CORE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC. A variable: tests put a clock of their own here. */
extern int64_t (*convstore__wall_ms)(void);

/* Milliseconds of a clock that never goes back: for deadlines. */
int64_t convstore__monotonic_ms(void);

#endif
