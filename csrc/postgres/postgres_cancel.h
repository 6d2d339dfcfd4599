/* A request to the server to cancel what a connection runs. libpq's PQcancel() connects and waits, for as long as the
 * network likes, so it is called in a thread that may be abandoned, as names are looked up (decision 0011). */
#ifndef CONVSTORE_POSTGRES_CANCEL_H
#define CONVSTORE_POSTGRES_CANCEL_H

#include "postgres_connection.h"

struct postgres_cancel;

/* Sends one. NULL: there is no memory or thread for it, so there is no request. */
struct postgres_cancel *convstore__postgres_cancel_start(PGconn *db);

/* Whether it has reached the server, or failed: it will not hit anything later. */
bool convstore__postgres_cancel_done(const struct postgres_cancel *cancel);

/* Frees it, or leaves that to the thread. NULL is fine. */
void convstore__postgres_cancel_release(struct postgres_cancel *cancel);

#endif
