/* core/users.c: the option `users`, which ends up in SQL: names are quoted, and what is none is refused. */
#include "../core/users.h"

#include <string.h>

#include "check.h"

static void test_users__is_written_as_sql_takes_it(void) {
  static const struct {
    const char *option;
    const char *sql;
  } cases[] = {
      {"users(id)", "\"users\"(\"id\")"},
      {"auth.users(id)", "\"auth\".\"users\"(\"id\")"},
      {"\"Users\"(\"Id\")", "\"Users\"(\"Id\")"},
      {"\"a \"\"quoted\"\" table\"(\"x)\")", "\"a \"\"quoted\"\" table\"(\"x)\")"},
      {"_t1$(_c2)", "\"_t1$\"(\"_c2\")"},
      {"b\xC3\xBC"
       "cher(nr)",
       "\"b\xC3\xBC"
       "cher\"(\"nr\")"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct convstore_users users;
    char sql[CONVSTORE_USERS_SIZE];
    check_doing("%s", cases[i].option);
    REQUIRE(convstore__users_parse(&users, cases[i].option, NULL) == CONVSTORE_OK);
    convstore__users_sql(sql, &users);
    CHECK_STRING(sql, cases[i].sql);
    CHECK_INT(convstore__users_parse(&users, sql, NULL), CONVSTORE_OK); /* and reads back as the same */
    char again[CONVSTORE_USERS_SIZE];
    convstore__users_sql(again, &users);
    CHECK_STRING(again, sql);
  }
}

static void test_users__refuses_what_names_no_column(void) {
  static const char *const options[] = {
      "",
      "users",
      "users()",
      "(id)",
      "users(id",
      "users(id))",
      "users(id) ",
      " users(id)",
      "users (id)",
      "users(id,name)",
      "a.b.users(id)",
      ".users(id)",
      "1users(id)",
      "users(1d)",
      "us-ers(id)",
      "\"users(id)",
      "\"\"(id)",
      "users(\"\")",
      "users(id); DROP TABLE users",
      "users(id) --",
      "users'(id)",
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    struct convstore_users users;
    convstore_error err = {0};
    check_doing("%s", options[i]);
    CHECK_INT(convstore__users_parse(&users, options[i], &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "invalid: users ");
  }
}

/* The longest names fit, with every byte a quote that SQL doubles; longer ones are refused, not cut. */
static void test_users__takes_long_names_and_refuses_longer_ones(void) {
  enum {
    MOST = CONVSTORE_NAME_SIZE - 1
  };
  char name[2 * (MOST + 1) + 3], option[4 * sizeof name], sql[CONVSTORE_USERS_SIZE];
  for (size_t n = MOST; n <= MOST + 1; n++) {
    struct convstore_users users;
    size_t size = 2 * n + 2;
    char *to = option;
    memset(name, '"', size);
    for (int i = 0; i < 3; i++) {
      memcpy(to, name, size);
      to += size;
      *to++ = ".()"[i];
    }
    *to = '\0';
    CHECK_INT(convstore__users_parse(&users, option, NULL), n == MOST ? CONVSTORE_OK : CONVSTORE_E_INVALID);
    if (n > MOST) continue;
    convstore__users_sql(sql, &users);
    CHECK_STRING(sql, option);
  }
}

static const struct check_test tests[] = {
    TEST(test_users__is_written_as_sql_takes_it),
    TEST(test_users__refuses_what_names_no_column),
    TEST(test_users__takes_long_names_and_refuses_longer_ones),
};
CHECK_MAIN(tests)
