/* The one place that waits for a backend which does not block. */
#ifndef CONVSTORE_CORE_WAIT_H
#define CONVSTORE_CORE_WAIT_H

#include "backend.h"

/* Waits until what the pending call wants has happened, its `until_ms` has come, or its deadline, or until `interrupt`
 * is raised (NULL: never). Always returns soon after that; what did happen is for the caller to find out. */
void convstore__wait(const struct convstore_call *call, const convstore_interrupt *interrupt);

#endif
