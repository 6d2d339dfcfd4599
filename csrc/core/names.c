/* The words for roles and marks, as programs and databases write them. */
#include <string.h>

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
