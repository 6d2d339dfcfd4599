/* Calls that are ended from outside; see convstore_interrupt in convstore.h. The core and the backends look, nobody
 * here raises. */
#ifndef CONVSTORE_CORE_INTERRUPT_H
#define CONVSTORE_CORE_INTERRUPT_H

#include "../convstore.h"

/* Fails a call that was ended. What its transaction had written must be undone. */
int convstore__fail_interrupted(convstore_error *err);

#endif
