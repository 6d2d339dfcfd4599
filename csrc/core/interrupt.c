/* One atomic integer, since a signal handler may touch nothing else. The header keeps it a plain one, for C++. */
#include "interrupt.h"

void convstore_interrupt_raise(convstore_interrupt *interrupt) {
  __atomic_store_n(&interrupt->raised, 1, __ATOMIC_SEQ_CST);
}

void convstore_interrupt_clear(convstore_interrupt *interrupt) {
  __atomic_store_n(&interrupt->raised, 0, __ATOMIC_SEQ_CST);
}

bool convstore_interrupt_is_raised(const convstore_interrupt *interrupt) {
  return interrupt != NULL && __atomic_load_n(&interrupt->raised, __ATOMIC_SEQ_CST) != 0;
}

int convstore__fail_interrupted(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_TIMEOUT,
                        "the call was interrupted, and what it had not finished is undone; try it again");
}
