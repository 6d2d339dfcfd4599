/* Makes libpq's allocations fail with the others of failing_memory.h. Not under valgrind: it knows no such malloc. */
#ifndef CONVSTORE_TESTS_OWN_MALLOC_H
#define CONVSTORE_TESTS_OWN_MALLOC_H

#include <stdbool.h>

/* From now on they do. False: they cannot here. */
bool own_malloc_take_libpq(void);

#endif
