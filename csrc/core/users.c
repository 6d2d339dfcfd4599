/* Parsing and quoting the option `users`; see users.h. */
#include "users.h"

#include <string.h>

static bool is_name_byte(char c, bool first) {
  bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
  return letter || (!first && ((c >= '0' && c <= '9') || c == '$'));
}

/* Reads one name at *at and moves behind it. False: there is none, or it is too long. */
static bool read_name(char out[CONVSTORE_NAME_SIZE], const char **at) {
  const char *p = *at;
  size_t n = 0;
  bool quoted = *p == '"';
  if (quoted) p++;
  for (;; p++) {
    if (quoted && p[0] == '"' && p[1] == '"')
      p++; /* a doubled quote stands for one */
    else if (quoted ? *p == '"' || *p == '\0' : !is_name_byte(*p, n == 0))
      break;
    if (n + 1 == CONVSTORE_NAME_SIZE) return false;
    out[n++] = *p;
  }
  if (quoted && *p++ != '"') return false;
  out[n] = '\0';
  *at = p;
  return n > 0;
}

int convstore__users_parse(struct convstore_users *out, const char *option, convstore_error *err) {
  const char *at = option;
  memset(out, 0, sizeof *out);
  bool good = read_name(out->table, &at);
  if (good && *at == '.') {
    memcpy(out->schema, out->table, sizeof out->schema);
    at++;
    good = read_name(out->table, &at);
  }
  good = good && *at++ == '(' && read_name(out->column, &at) && *at++ == ')' && *at == '\0';
  if (good) return CONVSTORE_OK;
  return convstore_fail(err, CONVSTORE_E_INVALID,
                        "users is \"%.100s\"; give \"TABLE(COLUMN)\", for example \"users(id)\"", option);
}

static char *quote(char *out, const char *name) {
  *out++ = '"';
  for (; *name != '\0'; name++) {
    if (*name == '"') *out++ = '"';
    *out++ = *name;
  }
  *out++ = '"';
  return out;
}

void convstore__users_sql(char out[CONVSTORE_USERS_SIZE], const struct convstore_users *users) {
  if (users->schema[0] != '\0') {
    out = quote(out, users->schema);
    *out++ = '.';
  }
  out = quote(out, users->table);
  *out++ = '(';
  out = quote(out, users->column);
  *out++ = ')';
  *out = '\0';
}
