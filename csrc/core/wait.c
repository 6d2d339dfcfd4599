/* Waiting by poll(2); see wait.h. An event loop will put its own waiting here. */
#include "wait.h"

#include <limits.h>
#include <poll.h>

#include "clock.h"

enum {
  /* A signal ends poll(2), but one that comes just before it, or one that another thread takes, does not. */
  GLANCE_MS = 50
};

void convstore__wait(const struct convstore_call *call, const convstore_interrupt *interrupt) {
  struct pollfd fd = {.fd = call->want.fd, .events = call->want.events};
  int64_t until = call->want.until_ms < call->deadline_ms ? call->want.until_ms : call->deadline_ms;
  int64_t most = interrupt != NULL ? GLANCE_MS : INT_MAX;
  int64_t left;
  int n = 0;
  do {
    left = until - convstore__monotonic_ms();
    if (left < 0) left = 0;
    /* A signal or an error ends the wait early; the backend then says again what it wants. */
    n = poll(&fd, 1, (int)(left < most ? left : most));
  } while (n == 0 && left > most && !convstore_interrupt_is_raised(interrupt));
}
