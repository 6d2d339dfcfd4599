/* The option `users`: what is read and written as SQL is read again as the same, and SQLite takes it for one name
 * each. */
#include "../core/users.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Second opinion: the names between quotation marks, doubled ones undone. Moves behind it. */
static void check_quoted(const char **at, const char *name) {
  FUZZ_CHECK(*(*at)++ == '"');
  for (; *name != '\0'; name++) {
    FUZZ_CHECK(*(*at)++ == *name);
    if (*name == '"') FUZZ_CHECK(*(*at)++ == '"');
  }
  FUZZ_CHECK(*(*at)++ == '"');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  char *option = fuzz_string(fuzz_rest(&input));
  struct convstore_users users, again;
  convstore_error err = {0};
  char sql[CONVSTORE_USERS_SIZE];
  int status = convstore__users_parse(&users, option, &err);
  if (status == CONVSTORE_OK) {
    FUZZ_CHECK(users.table[0] != '\0' && users.column[0] != '\0');
    FUZZ_CHECK(memchr(users.schema, '\0', sizeof users.schema) != NULL);
    memset(sql, 'x', sizeof sql);
    convstore__users_sql(sql, &users);
    FUZZ_CHECK(memchr(sql, '\0', sizeof sql) != NULL);
    const char *at = sql;
    if (users.schema[0] != '\0') {
      check_quoted(&at, users.schema);
      FUZZ_CHECK(*at++ == '.');
    }
    check_quoted(&at, users.table);
    FUZZ_CHECK(*at++ == '(');
    check_quoted(&at, users.column);
    FUZZ_CHECK(strcmp(at, ")") == 0);
    FUZZ_CHECK(convstore__users_parse(&again, sql, NULL) == CONVSTORE_OK);
    FUZZ_CHECK(strcmp(again.schema, users.schema) == 0 && strcmp(again.table, users.table) == 0 &&
               strcmp(again.column, users.column) == 0);
  } else {
    FUZZ_CHECK(status == CONVSTORE_E_INVALID);
    fuzz_check_error(status, &err);
  }
  free(option);
  return 0;
}
