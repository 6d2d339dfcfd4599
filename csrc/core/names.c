/* The words for roles and marks, as programs and databases write them, and for operations and events, as logs do. */
#include <string.h>

#include "backend.h"
#include "text.h"

static const char *const roles[] = {
    [CONVSTORE_ROLE_USER] = "user",     [CONVSTORE_ROLE_ASSISTANT] = "assistant",
    [CONVSTORE_ROLE_SYSTEM] = "system", [CONVSTORE_ROLE_DEVELOPER] = "developer",
    [CONVSTORE_ROLE_TOOL] = "tool",
};
_Static_assert(sizeof roles / sizeof *roles == CONVSTORE_ROLES, "each role has a name");

static const char *const marks[] = {
    [CONVSTORE_MARK_ACTIVE] = "active",
    [CONVSTORE_MARK_ARCHIVED] = "archived",
    [CONVSTORE_MARK_CLOSED] = "closed",
};
_Static_assert(sizeof marks / sizeof *marks == CONVSTORE_MARKS, "each mark has a name");

static const char *const operations[] = {
    [CONVSTORE_OPEN] = "open",
    [CONVSTORE_CREATE] = "create",
    [CONVSTORE_CONVERSATION] = "conversation",
    [CONVSTORE_GET] = "get",
    [CONVSTORE_UPDATE] = "update",
    [CONVSTORE_DELETE] = "delete",
    [CONVSTORE_RESTORE] = "restore",
    [CONVSTORE_PURGE] = "purge",
    [CONVSTORE_APPEND] = "append",
    [CONVSTORE_MESSAGE] = "message",
    [CONVSTORE_HISTORY] = "history",
    [CONVSTORE_BOUNDS] = "bounds",
    [CONVSTORE_ANNOTATE] = "annotate",
    [CONVSTORE_REDACT] = "redact",
    [CONVSTORE_FORK] = "fork",
    [CONVSTORE_SUMMARIZE] = "summarize",
    [CONVSTORE_CONTEXT] = "context",
    [CONVSTORE_LIST] = "list",
    [CONVSTORE_MESSAGES] = "messages",
    [CONVSTORE_SEARCH] = "search",
    [CONVSTORE_USAGE] = "usage",
    [CONVSTORE_ERASE] = "erase",
    [CONVSTORE_PURGE_OLD] = "purge_old",
    [CONVSTORE_ARCHIVE] = "archive",
    [CONVSTORE_USERS] = "users",
    [CONVSTORE_CHECK] = "check",
    [CONVSTORE_STATS] = "stats",
    [CONVSTORE_BACKUP] = "backup",
    [CONVSTORE_BEGIN] = "begin",
    [CONVSTORE_COMMIT] = "commit",
    [CONVSTORE_ROLLBACK] = "rollback",
    [CONVSTORE_SCHEMA_VERSION] = "schema_version",
    [CONVSTORE_MIGRATIONS] = "migrations",
    [CONVSTORE_MIGRATE] = "migrate",
};
_Static_assert(sizeof operations / sizeof *operations == CONVSTORE_OPERATIONS, "each operation has a name");

static const char *const events[] = {
    [CONVSTORE_EVENT_DROPPED] = "dropped", [CONVSTORE_EVENT_FALLBACK] = "fallback",
    [CONVSTORE_EVENT_INDEX] = "index",     [CONVSTORE_EVENT_LOG_FAILED] = "log_failed",
    [CONVSTORE_EVENT_LOST] = "lost",       [CONVSTORE_EVENT_MIGRATE] = "migrate",
    [CONVSTORE_EVENT_NOTICE] = "notice",   [CONVSTORE_EVENT_RECONNECT] = "reconnect",
    [CONVSTORE_EVENT_RETRY] = "retry",     [CONVSTORE_EVENT_SLOW] = "slow",
    [CONVSTORE_EVENT_WAIT] = "wait",
};
_Static_assert(sizeof events / sizeof *events == CONVSTORE_EVENT_KINDS, "each event has a name");

/* The index of `name` among `n` words, or -1. */
static int find(const char *const *words, int n, convstore_text name) {
  for (int i = 0; name.data && i < n; i++) {
    if (strlen(words[i]) == name.size && memcmp(words[i], name.data, name.size) == 0) return i;
  }
  return -1;
}

const char *convstore_role_name(convstore_role role) {
  return (unsigned)role < CONVSTORE_ROLES ? roles[role] : NULL;
}

const char *convstore_mark_name(convstore_mark mark) {
  return (unsigned)mark < CONVSTORE_MARKS ? marks[mark] : NULL;
}

const char *convstore_operation_name(int operation) {
  return operation >= 0 && operation < CONVSTORE_OPERATIONS ? operations[operation] : NULL;
}

const char *convstore_event_name(convstore_event_kind kind) {
  return (unsigned)kind < CONVSTORE_EVENT_KINDS ? events[kind] : NULL;
}

/* The given name as far as it can stand in an error's one line. */
static int shown(convstore_text name) {
  if (!name.data) return 0;
  return (int)convstore__utf8_cut(name.data, convstore__utf8_check(name.data, name.size), 40);
}

int convstore_role_parse(convstore_role *out, convstore_text name, convstore_error *err) {
  int i = find(roles, CONVSTORE_ROLES, name);
  if (i < 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "role must be user, assistant, system, developer or tool, not '%.*s'", shown(name),
                          name.data ? name.data : "");
  *out = (convstore_role)i;
  return CONVSTORE_OK;
}

int convstore_mark_parse(convstore_mark *out, convstore_text name, convstore_error *err) {
  int i = find(marks, CONVSTORE_MARKS, name);
  if (i < 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "status must be active, archived or closed, not '%.*s'",
                          shown(name), name.data ? name.data : "");
  *out = (convstore_mark)i;
  return CONVSTORE_OK;
}
