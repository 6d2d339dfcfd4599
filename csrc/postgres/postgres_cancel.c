/* The thread of a cancel request; see postgres_cancel.h. It shares one block with its caller, and the last of the two
 * frees it. */
#include "postgres_cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "postgres_thread.h"

struct postgres_cancel {
  atomic_int holders;
  atomic_bool done;
  PGcancel *request;
};

void convstore__postgres_cancel_release(struct postgres_cancel *cancel) {
  if (cancel == NULL || atomic_fetch_sub(&cancel->holders, 1) > 1) return;
  PQfreeCancel(cancel->request);
  free(cancel);
}

static void *run(void *context) {
  struct postgres_cancel *cancel = context;
  char ignored[256]; /* why it failed: the caller notices by the answer that does not come */
  (void)PQcancel(cancel->request, ignored, sizeof ignored);
  atomic_store(&cancel->done, true);
  convstore__postgres_cancel_release(cancel);
  return NULL;
}

struct postgres_cancel *convstore__postgres_cancel_start(PGconn *db) {
  struct postgres_cancel *cancel = calloc(1, sizeof *cancel);
  if (cancel == NULL) return NULL;
  atomic_init(&cancel->holders, 2);
  atomic_init(&cancel->done, false);
  cancel->request = PQgetCancel(db);
  if (cancel->request != NULL && convstore__postgres_thread_start(run, cancel) == 0) return cancel;
  atomic_store(&cancel->holders, 1); /* there is no thread */
  convstore__postgres_cancel_release(cancel);
  return NULL;
}

bool convstore__postgres_cancel_done(const struct postgres_cancel *cancel) {
  return atomic_load(&cancel->done);
}
