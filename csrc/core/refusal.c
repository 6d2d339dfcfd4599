/* The sentences; see refusal.h. */
#include "refusal.h"

#include <string.h>

int convstore__no_conversation(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_NOT_FOUND, "this user has no conversation %s",
                        call->request->conversation_id);
}

int convstore__no_message(const struct convstore_call *call) {
  const convstore_request *request = call->request;
  if (request->message_id[0] != '\0')
    return convstore_fail(call->err, CONVSTORE_E_NOT_FOUND, "conversation %s has no message %s",
                          request->conversation_id, request->message_id);
  return convstore_fail(call->err, CONVSTORE_E_NOT_FOUND, "conversation %s has no message %lld",
                        request->conversation_id, (long long)request->seq);
}

int convstore__no_user(const struct convstore_call *call) {
  const convstore_text *user_id = &call->request->user_id;
  return convstore_fail(call->err, CONVSTORE_E_NOT_FOUND,
                        "the users table has no \"%.*s\"; add the user first", (int)user_id->size,
                        user_id->data);
}

int convstore__key_taken(const struct convstore_call *call) {
  const convstore_text *key = &call->request->conversation.key;
  if (key->data == NULL) /* of a restoration */
    return convstore_fail(
        call->err, CONVSTORE_E_CONFLICT,
        "another conversation of this user has taken the key meanwhile; change that one's key first");
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "another conversation of this user has the key \"%.*s\"; choose another key",
                        (int)key->size, key->data);
}

int convstore__id_taken(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "the id %s belongs to another conversation of this user; choose another id",
                        call->request->conversation.id);
}

int convstore__id_deleted(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT, "conversation %s is deleted; restore or purge it",
                        call->request->conversation.id);
}

int convstore__not_expected(const struct convstore_call *call, int64_t last_seq) {
  return convstore_fail(
      call->err, CONVSTORE_E_CONFLICT,
      "expect is %lld but the conversation's last message is %lld; read what came and decide again",
      (long long)call->request->expect, (long long)last_seq);
}

int convstore__id_given_twice(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "an id is given to two of the messages; choose another id");
}

int convstore__stored_otherwise(const struct convstore_call *call, const char *id) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "the id %s is stored with another role or content; choose another id", id);
}

int convstore__stored_in_other_order(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "the messages are stored already, but in another order; read them by id");
}

int convstore__stored_in_part(const struct convstore_call *call, size_t n_stored) {
  return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                        "%zu of the %zu ids are stored already; append the others by themselves", n_stored,
                        call->request->n_messages);
}

int convstore__check_fork(const struct convstore_call *call, const convstore_conversation *stored) {
  const convstore_request *request = call->request;
  bool is_fork = strcmp(stored->forked_from_id, request->conversation_id) == 0;
  if (!is_fork || (request->at != CONVSTORE_ABSENT && request->at != stored->forked_from_seq))
    return convstore_fail(call->err, CONVSTORE_E_CONFLICT,
                          "the id %s belongs to a conversation that is no such fork; choose another id",
                          request->conversation.id);
  return stored->deleted_at_ms == CONVSTORE_ABSENT ? CONVSTORE_OK : convstore__id_deleted(call);
}

int convstore__bad_at(const struct convstore_call *call, int64_t last_seq) {
  return convstore_fail(call->err, CONVSTORE_E_INVALID,
                        "at is %lld but the conversation's last message is %lld; give 0 to %lld",
                        (long long)call->request->at, (long long)last_seq, (long long)last_seq);
}

int convstore__bad_through(const struct convstore_call *call, int64_t last_seq) {
  if (last_seq == 0)
    return convstore_fail(call->err, CONVSTORE_E_INVALID,
                          "through names no message: the conversation has none; append one first");
  return convstore_fail(call->err, CONVSTORE_E_INVALID,
                        "through is %lld but the conversation's last message is %lld; give 1 to %lld",
                        (long long)call->request->through, (long long)last_seq, (long long)last_seq);
}
