/*
 * Names of hosts to addresses, on a helper thread: getaddrinfo() cannot be given a deadline, and libpq would call it
 * while everybody waits. Whoever is tired of waiting releases the lookup; the thread then ends by itself and cleans up.
 */
#ifndef CONVSTORE_POSTGRES_LOOKUP_H
#define CONVSTORE_POSTGRES_LOOKUP_H

#include "../convstore.h"

struct postgres_lookup;

/* Looks up `n` names, each copied; a NULL is left out. *out is owned: convstore__postgres_lookup_release().
 * E_MEMORY. */
int convstore__postgres_lookup_start(struct postgres_lookup **out, const char *const *names, size_t n,
                                     convstore_error *err);

/* Becomes readable when the lookup is done. */
int convstore__postgres_lookup_fd(const struct postgres_lookup *lookup);
bool convstore__postgres_lookup_done(struct postgres_lookup *lookup);

/* When it is done: the k-th numeric address of name i, or NULL after the last; why there is none. */
const char *convstore__postgres_lookup_address(const struct postgres_lookup *lookup, size_t i, size_t k);
const char *convstore__postgres_lookup_reason(const struct postgres_lookup *lookup, size_t i);

/* NULL is fine. */
void convstore__postgres_lookup_release(struct postgres_lookup *lookup);

#endif
