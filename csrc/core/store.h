/* What the core's own tests need of store.c. */
#ifndef CONVSTORE_CORE_STORE_H
#define CONVSTORE_CORE_STORE_H

#include "backend.h"

/* convstore_open with the backend given instead of found by the DSN. `location` is what follows the scheme. */
int convstore__open_backend(convstore **out, const struct convstore_backend *backend, const char *location,
                            const convstore_options *options, convstore_error *err);

#endif
