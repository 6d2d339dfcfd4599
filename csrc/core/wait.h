/* The one place that waits for a backend which does not block. */
#ifndef CONVSTORE_CORE_WAIT_H
#define CONVSTORE_CORE_WAIT_H

#include "backend.h"

/* Waits until what the pending call wants has happened, its `until_ms` has come, or its deadline. Always returns
 * soon after that; what did happen is for the backend to find out. */
void convstore__wait(const struct convstore_call *call);

#endif
