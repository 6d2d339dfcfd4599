/*
 * What a backend says of a call that it refuses. One place, so that a program reads the same words whatever the
 * database, and another user's id gives those of an id that does not exist. Each fills call->err and returns its
 * status.
 */
#ifndef CONVSTORE_CORE_REFUSAL_H
#define CONVSTORE_CORE_REFUSAL_H

#include "backend.h"

/* E_NOT_FOUND */
int convstore__no_conversation(const struct convstore_call *call);
int convstore__no_message(const struct convstore_call *call);
int convstore__no_user(const struct convstore_call *call);

/* E_CONFLICT: over a conversation's key or id, `expect`, or the ids of messages that are stored already. */
int convstore__key_taken(const struct convstore_call *call);
int convstore__id_taken(const struct convstore_call *call);
int convstore__id_deleted(const struct convstore_call *call);
int convstore__not_expected(const struct convstore_call *call, int64_t last_seq);
int convstore__id_given_twice(const struct convstore_call *call);
int convstore__stored_otherwise(const struct convstore_call *call, const char *id);
int convstore__stored_in_other_order(const struct convstore_call *call);
int convstore__stored_in_part(const struct convstore_call *call, size_t n_stored);

/* CONVSTORE_OK where the conversation that has the id of the fork is that fork; else E_CONFLICT. */
int convstore__check_fork(const struct convstore_call *call, const convstore_conversation *stored);

/* E_INVALID: `at` or `through` is beyond the conversation's last message. */
int convstore__bad_at(const struct convstore_call *call, int64_t last_seq);
int convstore__bad_through(const struct convstore_call *call, int64_t last_seq);

#endif
