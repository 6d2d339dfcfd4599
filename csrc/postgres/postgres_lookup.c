/* The helper thread; see postgres_lookup.h. It shares one block with its caller, and the last of the two frees it. */
#include "postgres_lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "postgres_thread.h"

enum {
  ADDRESSES = 8,    /* of one name; more are not tried */
  ADDRESS_SIZE = 64 /* INET6_ADDRSTRLEN and a scope */
};

struct name {
  char *name;  /* NULL: nothing to look up */
  int failure; /* of getaddrinfo */
  size_t n;
  char addresses[ADDRESSES][ADDRESS_SIZE];
};

struct postgres_lookup {
  atomic_int holders;
  int ends[2]; /* a pipe: the thread writes one byte */
  bool done;   /* the caller has seen it */
  size_t n;
  struct name names[];
};

void convstore__postgres_lookup_release(struct postgres_lookup *lookup) {
  if (lookup == NULL || atomic_fetch_sub(&lookup->holders, 1) > 1) return;
  (void)close(lookup->ends[0]);
  (void)close(lookup->ends[1]);
  for (size_t i = 0; i < lookup->n; i++) free(lookup->names[i].name);
  free(lookup);
}

static void look_up(struct name *name) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *list = NULL;
  name->failure = getaddrinfo(name->name, NULL, &hints, &list);
  if (name->failure != 0) return;
  for (struct addrinfo *one = list; one != NULL && name->n < ADDRESSES; one = one->ai_next)
    if (getnameinfo(one->ai_addr, one->ai_addrlen, name->addresses[name->n], ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) == 0)
      name->n++;
  freeaddrinfo(list);
}

static void *run(void *context) {
  struct postgres_lookup *lookup = context;
  for (size_t i = 0; i < lookup->n; i++)
    if (lookup->names[i].name != NULL) look_up(&lookup->names[i]);
  ssize_t written;
  do written = write(lookup->ends[1], "", 1);
  while (written < 0 && errno == EINTR);
  convstore__postgres_lookup_release(lookup);
  return NULL;
}

int convstore__postgres_lookup_start(struct postgres_lookup **out, const char *const *names, size_t n,
                                     convstore_error *err) {
  struct postgres_lookup *lookup = calloc(1, sizeof *lookup + n * sizeof *lookup->names);
  bool complete = lookup != NULL;
  if (lookup == NULL) return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory");
  atomic_init(&lookup->holders, 2);
  lookup->n = n;
  for (size_t i = 0; i < n; i++) {
    if (names[i] == NULL) continue;
    lookup->names[i].name = strdup(names[i]);
    complete = complete && lookup->names[i].name != NULL;
  }
  if (!complete || pipe(lookup->ends) != 0) {
    lookup->ends[0] = lookup->ends[1] = -1;
    complete = false;
  } else {
    (void)fcntl(lookup->ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(lookup->ends[1], F_SETFD, FD_CLOEXEC);
  }
  if (!complete || convstore__postgres_thread_start(run, lookup) != 0) {
    atomic_store(&lookup->holders, 1); /* there is no thread */
    convstore__postgres_lookup_release(lookup);
    return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory, file or thread to look up a host's name");
  }
  *out = lookup;
  return CONVSTORE_OK;
}

int convstore__postgres_lookup_fd(const struct postgres_lookup *lookup) {
  return lookup->ends[0];
}

bool convstore__postgres_lookup_done(struct postgres_lookup *lookup) {
  struct pollfd fd = {.fd = lookup->ends[0], .events = POLLIN};
  if (!lookup->done && poll(&fd, 1, 0) > 0) {
    atomic_thread_fence(memory_order_acquire);
    lookup->done = true;
  }
  return lookup->done;
}

const char *convstore__postgres_lookup_address(const struct postgres_lookup *lookup, size_t i, size_t k) {
  return k < lookup->names[i].n ? lookup->names[i].addresses[k] : NULL;
}

const char *convstore__postgres_lookup_reason(const struct postgres_lookup *lookup, size_t i) {
  return lookup->names[i].failure == 0 ? "it has no address" : gai_strerror(lookup->names[i].failure);
}
