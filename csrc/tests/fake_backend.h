/*
 * A backend without a database: it answers what a test tells it to, and remembers what it was asked.
 * There is one of it at a time, since convstore__open_backend() takes no context: fake_reset() begins anew.
 */
#ifndef CONVSTORE_TESTS_FAKE_BACKEND_H
#define CONVSTORE_TESTS_FAKE_BACKEND_H

#include "../core/backend.h"

enum fake_event {
  FAKE_CREATE,
  FAKE_START,
  FAKE_RESUME,
  FAKE_INTERRUPT,
  FAKE_CANCEL,
  FAKE_CLOSE,
  FAKE_EVENTS
};

/* The versions of the made-up schema: 0 ... FAKE_NEWEST. */
enum {
  FAKE_NEWEST = 2,
  FAKE_MAX_ANSWERS = 32,
  FAKE_MAX_RECORDS = 256
};

/* What one start, resume or interrupt does. Zeroes: done. */
struct fake_answer {
  int status;         /* CONVSTORE_PENDING: wait for fake.fd */
  short events;       /* POLLIN or POLLOUT */
  int wait_ms;        /* resume after this long at the latest */
  bool lost;          /* the transaction around the call is gone */
  const int *version; /* the schema's version from now on */
};

/* What was asked. */
struct fake_record {
  enum fake_event event;
  int operation;
  int depth;
  int64_t now_ms;
  int64_t deadline_ms;
  int64_t at_ms; /* by the monotonic clock */
  bool id_is_new;
  bool interrupted;
  convstore_request request; /* texts borrow from the caller's */
  convstore_message message; /* the first, if there is one */
};

#define FAKE_CONVERSATION_ID "0190f5a8-7b3c-7def-8123-456789abcdef"

struct fake {
  int create_status;
  struct fake_answer answers[FAKE_MAX_ANSWERS]; /* one for each start or resume; then all is done at once */
  int n_answers, n_answered;
  int version;                         /* as SCHEMA_VERSION and OPEN find it */
  convstore_user_id_type user_id_type; /* the same */
  int fd; /* the readable end of a pipe, with nothing to read until fake_make_ready() */
  int write_fd;
  int counts[FAKE_EVENTS];
  struct fake_record records[FAKE_MAX_RECORDS];
  int n_records;
  char location[64];
  convstore_options options;
};

extern struct fake fake;
extern const struct convstore_backend fake_backend;

/* Forgets everything; closes and makes the pipe. */
void fake_reset(void);
/* Adds an answer. */
void fake_answer(struct fake_answer given);
/* Gives the pipe something to read. */
void fake_make_ready(void);
/* The last record, of whichever event. */
const struct fake_record *fake_last(void);
/* Opens a store on the fake, with a schema that is up to date, and forgets that. NULL after a failed check. */
convstore *fake_open(const convstore_options *options);
/* Alice's request about message 1 of conversation FAKE_CONVERSATION_ID, as far as it is the same for all operations. */
convstore_request fake_request(convstore_operation operation);
/* Runs one that needs no more. */
int fake_run(convstore *store, convstore_operation operation, convstore_error *err);

#endif
