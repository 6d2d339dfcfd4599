/*
 * Checks and completes requests, one operation after the other. See request.h.
 * Nothing here depends on the database, but for the type of its user ids, which the schema fixed when it was made.
 */
#include "request.h"

#include <string.h>

#include "cursor.h"
#include "message.h"
#include "operations.h"
#include "text.h"
#include "uuid.h"

/* "7", "-12": what the database itself would print, so that two spellings cannot be two users. */
static bool is_bigint(convstore_text text) {
  const char *digits = text.data;
  size_t n = text.size;
  const char *limit = "9223372036854775807";
  if (n > 0 && digits[0] == '-') {
    limit = "9223372036854775808";
    digits++;
    n--;
    if (n == 1 && digits[0] == '0') return false;
  }
  if (n == 0 || n > 19 || (n > 1 && digits[0] == '0')) return false;
  for (size_t i = 0; i < n; i++)
    if (digits[i] < '0' || digits[i] > '9') return false;
  return n < 19 || memcmp(digits, limit, 19) <= 0;
}

static int check_user_id(struct convstore_rules *rules, convstore_text user_id, convstore_user_id_type type) {
  char ignored[CONVSTORE_ID_SIZE];
  if (user_id.data == NULL) return convstore_fail(rules->err, CONVSTORE_E_INVALID, "user_id is missing");
  int status = convstore__rule_identifier(rules, user_id, "user_id", CONVSTORE_MAX_USER_ID);
  if (status != CONVSTORE_OK || type == CONVSTORE_USER_ID_TEXT) return status;
  if (type == CONVSTORE_USER_ID_UUID) return convstore_id_set(ignored, user_id, "user_id", rules->err);
  if (is_bigint(user_id)) return CONVSTORE_OK;
  return convstore_fail(rules->err, CONVSTORE_E_INVALID,
                        "user_id is no integer as the users table has it; give its plain decimal digits");
}

/* An id that a caller may have left out: made here, and told to the caller before anything is tried. */
static int complete_id(char id[CONVSTORE_ID_SIZE], char asked[CONVSTORE_ID_SIZE],
                       struct convstore_noise *noise, convstore_error *err) {
  if (asked[0] != '\0')
    return convstore_id_set(id, (convstore_text){asked, strnlen(asked, CONVSTORE_ID_SIZE)}, "id", err);
  int status = convstore__uuid(id, noise, err);
  if (status == CONVSTORE_OK) memcpy(asked, id, CONVSTORE_ID_SIZE);
  return status;
}

static int check_id(const char id[CONVSTORE_ID_SIZE], const char *field, convstore_error *err) {
  char ignored[CONVSTORE_ID_SIZE];
  return convstore_id_set(ignored, (convstore_text){id, strnlen(id, CONVSTORE_ID_SIZE)}, field, err);
}

static int check_seq(int64_t seq, convstore_error *err) {
  if (seq >= 1) return CONVSTORE_OK;
  return convstore_fail(err, CONVSTORE_E_INVALID, "seq is %lld; the first message is 1", (long long)seq);
}

static int check_conversation(struct convstore_rules *rules, convstore_conversation *conversation) {
  int status = convstore__rule_identifier(rules, conversation->key, "key", CONVSTORE_MAX_KEY);
  if (status == CONVSTORE_OK)
    status =
        convstore__rule_text(rules, &conversation->title, "title", CONVSTORE_MAX_TITLE, CONVSTORE_E_INVALID);
  if (status == CONVSTORE_OK) status = convstore__rule_json(rules, &conversation->metadata, "metadata");
  if (status == CONVSTORE_OK) status = convstore__rule_time(rules, conversation->created_at_ms, "created_at");
  if (status == CONVSTORE_OK && (unsigned)conversation->mark >= CONVSTORE_MARKS)
    status = convstore_fail(rules->err, CONVSTORE_E_INVALID, "status is none of active, archived, closed");
  return status;
}

static int prepare_new(struct convstore_rules *rules, convstore_request *request, convstore_request *asked,
                       int64_t now_ms) {
  convstore_conversation *conversation = &request->conversation;
  if (request->operation == CONVSTORE_CONVERSATION && conversation->key.data == NULL)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "key is missing");
  int status = check_conversation(rules, conversation);
  if (status != CONVSTORE_OK) return status;
  if (conversation->created_at_ms == CONVSTORE_ABSENT) conversation->created_at_ms = now_ms;
  struct convstore_noise noise = {.n_ids = 1};
  return complete_id(conversation->id, asked->conversation.id, &noise, rules->err);
}

static int prepare_append(struct convstore_rules *rules, convstore_request *request, convstore_request *asked,
                          int64_t now_ms) {
  size_t n = asked->n_messages;
  convstore_message *messages;
  if (request->expect != CONVSTORE_ABSENT && request->expect < 0)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID,
                          "expect is negative; give the last seq that was seen, or 0");
  if (n > SIZE_MAX / sizeof *messages)
    return convstore_fail(rules->err, CONVSTORE_E_MEMORY, "too many messages");

  struct convstore_arena *arena = convstore__arena(rules->result);
  messages = arena == NULL ? NULL : convstore__arena_alloc(arena, n * sizeof *messages);
  if (messages == NULL)
    return convstore_fail(rules->err, CONVSTORE_E_MEMORY, "no memory for %zu messages", n);

  struct convstore_noise noise = {.n_ids = n};
  for (size_t i = 0; i < n; i++) {
    messages[i] = asked->messages[i];
    rules->index = n > 1 ? i + 1 : 0;
    int status = convstore__rule_message(rules, &messages[i]);
    if (status == CONVSTORE_OK)
      status = complete_id(messages[i].id, asked->messages[i].id, &noise, rules->err);
    if (status != CONVSTORE_OK) return status;
    if (messages[i].created_at_ms == CONVSTORE_ABSENT) messages[i].created_at_ms = now_ms;
    messages[i].updated_at_ms = CONVSTORE_ABSENT;
    messages[i].redacted_at_ms = CONVSTORE_ABSENT;
  }
  request->messages = messages;
  return CONVSTORE_OK;
}

static int check_roles(const convstore_request *request, convstore_error *err) {
  if (request->roles < 1U << CONVSTORE_ROLES) return CONVSTORE_OK;
  return convstore_fail(err, CONVSTORE_E_INVALID, "role is none of user, assistant, system, developer, tool");
}

static int prepare_range(convstore_request *request, convstore_error *err) {
  if (request->after != CONVSTORE_ABSENT && request->after < 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "after is negative; give a seq, or 0");
  if (request->before != CONVSTORE_ABSENT && request->before < 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "before is negative; give a seq");
  if (request->limit != CONVSTORE_ABSENT && request->limit < 1)
    return convstore_fail(err, CONVSTORE_E_INVALID, "limit is %lld; give at least 1",
                          (long long)request->limit);
  int status = check_roles(request, err);
  if (status != CONVSTORE_OK) return status;
  if (request->after == CONVSTORE_ABSENT) request->after = 0;
  if (request->before == CONVSTORE_ABSENT) request->before = INT64_MAX;
  return CONVSTORE_OK;
}

/* since and before: times that are not there become the ends of time. */
static int prepare_times(struct convstore_rules *rules, convstore_request *request) {
  int status = convstore__rule_time(rules, request->since_ms, "since");
  if (status == CONVSTORE_OK) status = convstore__rule_time(rules, request->before_ms, "before");
  if (status != CONVSTORE_OK) return status;
  if (request->since_ms == CONVSTORE_ABSENT) request->since_ms = 0;
  if (request->before_ms == CONVSTORE_ABSENT) request->before_ms = CONVSTORE_MAX_TIME_MS + 1;
  return CONVSTORE_OK;
}

/*
 * What every list that comes in pages has: limit, times, roles, cursor. The cursor comes last, when all that it must
 * agree with is as it will be when the next one is written.
 */
static int prepare_page(struct convstore_rules *rules, convstore_request *request, int64_t default_limit) {
  if (request->limit == CONVSTORE_ABSENT) request->limit = default_limit;
  if (request->limit < 1 || request->limit > CONVSTORE_MAX_PAGE)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "limit is %lld; give 1 to %d",
                          (long long)request->limit, CONVSTORE_MAX_PAGE);
  int status = prepare_times(rules, request);
  if (status == CONVSTORE_OK) status = check_roles(request, rules->err);
  return status != CONVSTORE_OK ? status : convstore__cursor_read(request, rules->err);
}

static int prepare_list(struct convstore_rules *rules, convstore_request *request) {
  if (request->mark_only && (unsigned)request->mark >= CONVSTORE_MARKS)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "status is none of active, archived, closed");
  if ((unsigned)request->deleted_filter > CONVSTORE_DELETED_ANY)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "deleted is none of false, true, \"any\"");
  return prepare_page(rules, request, 20);
}

static int prepare_usage(struct convstore_rules *rules, convstore_request *request) {
  if ((unsigned)request->by > CONVSTORE_BY_CONVERSATION)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "by is none of \"day\", \"conversation\"");
  return prepare_times(rules, request);
}

static int prepare_fork(struct convstore_rules *rules, convstore_request *request, convstore_request *asked,
                        int64_t now_ms) {
  if (request->at != CONVSTORE_ABSENT && request->at < 0)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID,
                          "at is negative; give the seq of the last message to copy, or 0");
  request->conversation.created_at_ms = CONVSTORE_ABSENT;
  return prepare_new(rules, request, asked, now_ms);
}

static int prepare_summary(struct convstore_rules *rules, convstore_request *request) {
  if (request->text.data == NULL)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "text is missing; give the summary");
  int status = convstore__rule_text(rules, &request->text, "text", rules->max_content, CONVSTORE_E_TOO_LARGE);
  if (status == CONVSTORE_OK) status = convstore__rule_json(rules, &request->metadata, "metadata");
  if (status != CONVSTORE_OK) return status;
  if (request->through != CONVSTORE_ABSENT && request->through < 1)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "through is %lld; the first message is 1",
                          (long long)request->through);
  if (request->token_count == CONVSTORE_ABSENT)
    request->token_count = (int64_t)((request->text.size + 3) / 4);
  if (request->token_count < 0 || request->token_count > INT32_MAX)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "token_count is outside 0-2147483647");
  return CONVSTORE_OK;
}

static int prepare_search(struct convstore_rules *rules, convstore_request *request) {
  if (request->text.data == NULL)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "text is missing; give what to search for");
  int status =
      convstore__rule_text(rules, &request->text, "text", CONVSTORE_MAX_CONTENT, CONVSTORE_E_INVALID);
  if (status == CONVSTORE_OK && request->conversation_id[0] != '\0')
    status = check_id(request->conversation_id, "conversation_id", rules->err);
  return status != CONVSTORE_OK ? status : prepare_page(rules, request, 20);
}

static int prepare_context(const convstore_request *request, convstore_error *err) {
  if (request->max_tokens != CONVSTORE_ABSENT && request->max_tokens < 1)
    return convstore_fail(err, CONVSTORE_E_INVALID, "max_tokens is %lld; give at least 1",
                          (long long)request->max_tokens);
  if (request->max_messages != CONVSTORE_ABSENT && request->max_messages < 1)
    return convstore_fail(err, CONVSTORE_E_INVALID, "max_messages is %lld; give at least 1",
                          (long long)request->max_messages);
  if (request->reserve < 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "reserve is negative; give a number of tokens, or 0");
  if (request->max_tokens != CONVSTORE_ABSENT && request->reserve >= request->max_tokens)
    return convstore_fail(err, CONVSTORE_E_INVALID, "reserve is %lld and leaves nothing of max_tokens, %lld",
                          (long long)request->reserve, (long long)request->max_tokens);
  if ((unsigned)request->format > CONVSTORE_FORMAT_ANTHROPIC)
    return convstore_fail(err, CONVSTORE_E_INVALID, "format is none of openai, anthropic");
  return CONVSTORE_OK;
}

/* Times that say what is old, and how many conversations at most. */
static int prepare_retention(struct convstore_rules *rules, convstore_request *request) {
  int status = convstore__rule_time(rules, request->deleted_before_ms, "deleted_before");
  if (status == CONVSTORE_OK) status = convstore__rule_time(rules, request->idle_before_ms, "idle_before");
  if (status != CONVSTORE_OK) return status;
  bool purges = request->operation == CONVSTORE_PURGE_OLD;
  if (request->idle_before_ms == CONVSTORE_ABSENT &&
      (!purges || request->deleted_before_ms == CONVSTORE_ABSENT))
    return convstore_fail(rules->err, CONVSTORE_E_INVALID,
                          purges ? "deleted_before and idle_before are missing; give at least one of them"
                                 : "idle_before is missing; give the time since when nothing was written");
  if (request->limit == CONVSTORE_ABSENT) request->limit = INT64_MAX;
  if (request->limit < 1)
    return convstore_fail(rules->err, CONVSTORE_E_INVALID, "limit is %lld; give at least 1",
                          (long long)request->limit);
  return CONVSTORE_OK;
}

/* A path is what the system takes: bytes, of which only NUL is none. */
static int check_path(convstore_text path, convstore_error *err) {
  if (path.data == NULL || path.size == 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "path is empty; give the file to make");
  if (memchr(path.data, '\0', path.size) != NULL)
    return convstore_fail(err, CONVSTORE_E_INVALID, "path holds a NUL byte");
  if (path.data[path.size - 1] == '/')
    return convstore_fail(err, CONVSTORE_E_INVALID, "path ends in '/', as folders do; give the file to make");
  return CONVSTORE_OK;
}

/* The part that differs from operation to operation. */
static int prepare_operation(struct convstore_rules *rules, convstore_request *request,
                             convstore_request *asked, int64_t now_ms) {
  switch (request->operation) {
  case CONVSTORE_CREATE:
  case CONVSTORE_CONVERSATION:
    return prepare_new(rules, request, asked, now_ms);
  case CONVSTORE_UPDATE:
    return check_conversation(rules, &request->conversation);
  case CONVSTORE_APPEND:
    return prepare_append(rules, request, asked, now_ms);
  case CONVSTORE_MESSAGE:
    if (request->message_id[0] != '\0') return check_id(request->message_id, "id", rules->err);
    return check_seq(request->seq, rules->err);
  case CONVSTORE_HISTORY:
  case CONVSTORE_BOUNDS:
    return prepare_range(request, rules->err);
  case CONVSTORE_ANNOTATE: {
    int status = check_seq(request->seq, rules->err);
    return status != CONVSTORE_OK ? status : convstore__rule_json(rules, &request->metadata, "metadata");
  }
  case CONVSTORE_REDACT:
    return check_seq(request->seq, rules->err);
  case CONVSTORE_FORK:
    return prepare_fork(rules, request, asked, now_ms);
  case CONVSTORE_SUMMARIZE:
    return prepare_summary(rules, request);
  case CONVSTORE_LIST:
    return prepare_list(rules, request);
  case CONVSTORE_MESSAGES:
    return prepare_page(rules, request, 50);
  case CONVSTORE_SEARCH:
    return prepare_search(rules, request);
  case CONVSTORE_USAGE:
    return prepare_usage(rules, request);
  case CONVSTORE_CONTEXT:
    return prepare_context(request, rules->err);
  case CONVSTORE_PURGE_OLD:
  case CONVSTORE_ARCHIVE:
    return prepare_retention(rules, request);
  case CONVSTORE_USERS:
    return prepare_page(rules, request, 20);
  case CONVSTORE_BACKUP:
    return check_path(request->path, rules->err);
  default:
    return CONVSTORE_OK;
  }
}

int convstore__request_prepare(convstore_request *out, convstore_request *asked,
                               const convstore_options *options, convstore_user_id_type user_id_type,
                               int64_t now_ms, convstore_result *result, convstore_error *err) {
  struct convstore_rules rules = {
      .max_content = (size_t)options->max_content_bytes,
      .replace_text = options->replace_text,
      .result = result,
      .err = err,
  };
  *out = *asked;
  const struct convstore_needs *needs = &convstore__needs[asked->operation];
  int status = needs->user ? check_user_id(&rules, asked->user_id, user_id_type) : CONVSTORE_OK;
  if (status == CONVSTORE_OK && needs->conversation)
    status = check_id(asked->conversation_id, "conversation_id", err);
  if (status != CONVSTORE_OK) return status;
  return prepare_operation(&rules, out, asked, now_ms);
}
