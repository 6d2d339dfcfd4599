/* Waiting by poll(2); see wait.h. An event loop will put its own waiting here. */
#include "wait.h"

#include <limits.h>
#include <poll.h>

#include "clock.h"

void convstore__wait(const struct convstore_call *call) {
  struct pollfd fd = {.fd = call->want.fd, .events = call->want.events};
  int64_t until = call->want.until_ms < call->deadline_ms ? call->want.until_ms : call->deadline_ms;
  int64_t left = until - convstore__monotonic_ms();
  if (left < 0) left = 0;
  if (left > INT_MAX) left = INT_MAX;
  /* A signal or an error ends the wait early; the backend then says again what it wants. */
  (void)poll(&fd, 1, (int)left);
}
