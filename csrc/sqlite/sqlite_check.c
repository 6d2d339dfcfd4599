/*
 * Looks for what is not as it should be in an SQLite file: first its pages, then what our tables say of each other, and
 * whether the host's table of users still has ours. All of it reads one moment, in a read transaction, which holds no
 * writer up. Where pages are damaged, what can still be read of the rest is told.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/interrupt.h"
#include "../core/problems.h"
#include "sqlite_operations.h"

enum {
  PROGRESS_STEPS = 10000 /* of SQLite's machine, between two looks at the clock: a millisecond or less */
};

static int on_progress(void *context) {
  struct sqlite_connection *connection = context;
  return convstore__monotonic_ms() >= connection->deadline_ms || convstore__sqlite_must_end(connection);
}

int convstore__sqlite_fail_check(struct sqlite_connection *connection, struct convstore_call *call,
                                 int code) {
  if ((code & 0xff) == SQLITE_INTERRUPT && !connection->interrupted)
    return convstore_fail(call->err, CONVSTORE_E_TIMEOUT,
                          "the check was not done in time; open with a longer `timeout`");
  return convstore__sqlite_fail(connection, call->err);
}

static int read_problem(size_t *capacity, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_problem problem;
  int status = convstore__sqlite_read_text(&problem.problem, row, 0, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_id(problem.conversation_id, row, 1, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&problem.detail, row, 2, call);
  return status != CONVSTORE_OK ? status : convstore__problem_add(capacity, call, &problem);
}

/* Adds what a statement finds. */
static int run_check(size_t *capacity, struct sqlite_connection *connection, struct convstore_call *call,
                     enum sqlite_stmt id) {
  int status = CONVSTORE_OK;
  int code;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if (sqlite3_bind_int(statement, 1, CONVSTORE_PROBLEM_ROWS) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  while (status == CONVSTORE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
    status = read_problem(capacity, statement, call);
  if (status == CONVSTORE_OK && code != SQLITE_DONE)
    status = convstore__sqlite_fail_check(connection, call, code);
  sqlite3_reset(statement);
  return status;
}

/* The host's table is no parent any more: SQLite refuses to look, in words that tell what is wrong. */
static int add_refusal(size_t *capacity, struct convstore_call *call) {
  static const char word[] = "foreign_keys";
  const char *sentence = strchr(call->err->message, ' ') + 1;
  size_t size = strlen(sentence);
  convstore_problem problem = {.problem = {word, sizeof word - 1}};
  problem.detail = (convstore_text){convstore__arena_copy(call->result->memory, sentence, size), size};
  if (problem.detail.data == NULL) return convstore__sqlite_no_memory(call->err);
  return convstore__problem_add(capacity, call, &problem);
}

/* A check of pages also tells a read that failed, or JSON that there was no memory to parse, as if it were damage: what
 * it finds counts when it finds it twice. */
static int run_quick_check(size_t *capacity, struct sqlite_connection *connection,
                           struct convstore_call *call) {
  int status = run_check(capacity, connection, call, SQLITE_STMT_QUICK_CHECK);
  if (status != CONVSTORE_OK || call->result->n_problems == 0) return status;
  call->result->n_problems = 0;
  return run_check(capacity, connection, call, SQLITE_STMT_QUICK_CHECK);
}

static int run_checks(struct sqlite_connection *connection, struct convstore_call *call) {
  static const enum sqlite_stmt ids[] = {SQLITE_STMT_CHECK_MESSAGES, SQLITE_STMT_CHECK_SEARCH,
                                         SQLITE_STMT_CHECK_REST};
  size_t capacity = 0;
  int status = run_quick_check(&capacity, connection, call);
  for (size_t i = 0; status == CONVSTORE_OK && i < sizeof ids / sizeof *ids; i++)
    status = run_check(&capacity, connection, call, ids[i]);
  if (status == CONVSTORE_OK) status = convstore__sqlite_check_index(&capacity, connection, call);
  if (status == CONVSTORE_OK && connection->refers_to_users) {
    status = run_check(&capacity, connection, call, SQLITE_STMT_CHECK_FOREIGN_KEYS);
    if (status == CONVSTORE_E_INVALID) status = add_refusal(&capacity, call);
  }
  if (status == CONVSTORE_E_CORRUPT && call->result->n_problems > 0) status = CONVSTORE_OK;
  if (status == CONVSTORE_OK) convstore__problems_finish(call);
  return status;
}

int convstore__sqlite_check(struct sqlite_connection *connection, struct convstore_call *call) {
  bool own = call->depth == 0;
  if (convstore__arena(call->result) == NULL) return convstore__sqlite_no_memory(call->err);
  int status = own ? convstore__sqlite_begin(connection, call, SQLITE_STMT_BEGIN_READ, false) : CONVSTORE_OK;
  if (status != CONVSTORE_OK) return status;
  sqlite3_progress_handler(connection->db, PROGRESS_STEPS, on_progress, connection);
  status = run_checks(connection, call);
  convstore__sqlite_watch_interrupt(connection);
  if (own) convstore__sqlite_undo(connection, false);
  return status;
}
