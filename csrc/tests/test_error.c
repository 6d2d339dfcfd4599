/* core/error.c and core/names.c: the words that programs compare, and sentences that always fit. */
#include <stdio.h>
#include <string.h>

#include "../core/text.h"
#include "check.h"

static void test_status_name__is_the_contracts_code(void) {
  static const struct {
    int status;
    const char *name;
  } names[] = {
      {CONVSTORE_OK, "ok"},
      {CONVSTORE_E_NOT_FOUND, "not_found"},
      {CONVSTORE_E_INVALID, "invalid"},
      {CONVSTORE_E_TOO_LARGE, "too_large"},
      {CONVSTORE_E_CONFLICT, "conflict"},
      {CONVSTORE_E_BUSY, "busy"},
      {CONVSTORE_E_TIMEOUT, "timeout"},
      {CONVSTORE_E_UNAVAILABLE, "unavailable"},
      {CONVSTORE_E_SCHEMA, "schema"},
      {CONVSTORE_E_FULL, "full"},
      {CONVSTORE_E_READONLY, "readonly"},
      {CONVSTORE_E_CORRUPT, "corrupt"},
      {CONVSTORE_E_DENIED, "denied"},
      {CONVSTORE_E_UNSUPPORTED, "unsupported"},
      {CONVSTORE_E_INTERNAL, "internal"},
      {CONVSTORE_E_MEMORY, "memory"},
      {1, "internal"},
      {-16, "internal"},
      {INT32_MIN, "internal"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    CHECK_STRING(convstore_status_name(names[i].status), names[i].name);
}

static void test_fail__writes_status_and_sentence(void) {
  convstore_error err = {.native = 7};
  CHECK_INT(convstore_fail(&err, CONVSTORE_E_BUSY, "%s is locked by %d others", "bot.db", 2),
            CONVSTORE_E_BUSY);
  CHECK_INT(err.status, CONVSTORE_E_BUSY);
  CHECK_INT(err.native, 0);
  CHECK_STRING(err.message, "busy: bot.db is locked by 2 others");
}

static void test_fail__takes_no_error_at_all(void) {
  CHECK_INT(convstore_fail(NULL, CONVSTORE_E_FULL, "%s", "nobody listens"), CONVSTORE_E_FULL);
}

static void test_fail__may_quote_the_error_that_it_fills(void) {
  convstore_error err;
  convstore_fail(&err, CONVSTORE_E_BUSY, "first");
  convstore_fail(&err, CONVSTORE_E_INTERNAL, "again, %s", err.message);
  CHECK_STRING(err.message, "internal: again, busy: first");
}

static void test_fail__cuts_at_a_whole_character(void) {
  static const char *const letters[] = {"x", "\xC3\xA9", "\xE4\xBD\xA0", "\xF0\x9F\x98\x80"};
  for (size_t width = 1; width <= 4; width++) {
    for (size_t lead = 0; lead < 4; lead++) {
      char long_text[2000];
      size_t size = lead;
      memset(long_text, '.', lead);
      while (size + width < sizeof long_text - 1) {
        memcpy(long_text + size, letters[width - 1], width);
        size += width;
      }
      long_text[size] = '\0';
      convstore_error err;
      convstore_fail(&err, CONVSTORE_E_INVALID, "%s", long_text);
      size_t length = strlen(err.message);
      check_doing("%zu bytes each behind %zu", width, lead);
      CHECK(length < sizeof err.message && length >= sizeof err.message - width);
      CHECK_INT((int64_t)convstore__utf8_check(err.message, length), (int64_t)length);
      CHECK(strncmp(err.message + strlen("invalid: "), long_text, length - strlen("invalid: ")) == 0);
    }
  }
}

/* What it quotes may be a path or a name: one line all the same. */
static void test_fail__stays_on_one_line(void) {
  convstore_error err;
  convstore_fail(&err, CONVSTORE_E_UNAVAILABLE, "\"%s\" cannot be made", "a\nb\r\tc\x1B[2J\x7F");
  CHECK_STRING(err.message, "unavailable: \"a b  c [2J \" cannot be made");
}

static void test_fail__keeps_a_message_that_just_fits(void) {
  convstore_error err;
  char text[sizeof err.message];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1 - strlen("full: ")] = '\0';
  convstore_fail(&err, CONVSTORE_E_FULL, "%s", text);
  CHECK_INT((int64_t)strlen(err.message), (int64_t)sizeof err.message - 1);
}

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static void test_role__names_and_numbers_match(void) {
  static const char *const names[] = {"user", "assistant", "system", "developer", "tool"};
  for (int i = 0; i < CONVSTORE_ROLES; i++) {
    convstore_role role = CONVSTORE_ROLES;
    CHECK_STRING(convstore_role_name((convstore_role)i), names[i]);
    CHECK_INT(convstore_role_parse(&role, text_of(names[i]), NULL), CONVSTORE_OK);
    CHECK_INT((int64_t)role, i);
  }
  CHECK(convstore_role_name(CONVSTORE_ROLES) == NULL);
}

static void test_mark__names_and_numbers_match(void) {
  static const char *const names[] = {"active", "archived", "closed"};
  for (int i = 0; i < CONVSTORE_MARKS; i++) {
    convstore_mark mark = CONVSTORE_MARKS;
    CHECK_STRING(convstore_mark_name((convstore_mark)i), names[i]);
    CHECK_INT(convstore_mark_parse(&mark, text_of(names[i]), NULL), CONVSTORE_OK);
    CHECK_INT((int64_t)mark, i);
  }
  CHECK(convstore_mark_name(CONVSTORE_MARKS) == NULL);
}

static void test_parse__refuses_other_words_and_leaves_the_result_alone(void) {
  static const char *const words[] = {"", "User", "users", "use", "user ", "bot"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    convstore_error err;
    convstore_role role = CONVSTORE_ROLE_TOOL;
    convstore_mark mark = CONVSTORE_MARK_CLOSED;
    CHECK_INT(convstore_role_parse(&role, text_of(words[i]), &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "invalid: role must be user, assistant, system, developer or tool");
    CHECK_HAS(err.message, words[i]);
    CHECK(role == CONVSTORE_ROLE_TOOL);
    CHECK_INT(convstore_mark_parse(&mark, text_of(words[i]), &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "invalid: status must be active, archived or closed");
    CHECK(mark == CONVSTORE_MARK_CLOSED);
  }
  convstore_role role;
  convstore_mark mark;
  CHECK_INT(convstore_role_parse(&role, (convstore_text){.data = "user\0", .size = 5}, NULL),
            CONVSTORE_E_INVALID);
  CHECK_INT(convstore_role_parse(&role, (convstore_text){0}, NULL), CONVSTORE_E_INVALID);
  CHECK_INT(convstore_mark_parse(&mark, (convstore_text){0}, NULL), CONVSTORE_E_INVALID);
}

/* A caller's bytes are quoted in the message, which must stay text. */
static void test_parse__quotes_only_what_is_text(void) {
  convstore_error err;
  convstore_role role;
  CHECK_INT(convstore_role_parse(&role,
                                 text_of("ro\xFF"
                                         "bot"),
                                 &err),
            CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "not 'ro'");
  char long_word[500];
  memset(long_word, 'x', sizeof long_word);
  convstore_role_parse(&role, (convstore_text){.data = long_word, .size = sizeof long_word}, &err);
  CHECK(strlen(err.message) < 150);
}

static const struct check_test tests[] = {
    TEST(test_status_name__is_the_contracts_code),
    TEST(test_fail__writes_status_and_sentence),
    TEST(test_fail__takes_no_error_at_all),
    TEST(test_fail__may_quote_the_error_that_it_fills),
    TEST(test_fail__cuts_at_a_whole_character),
    TEST(test_fail__stays_on_one_line),
    TEST(test_fail__keeps_a_message_that_just_fits),
    TEST(test_role__names_and_numbers_match),
    TEST(test_mark__names_and_numbers_match),
    TEST(test_parse__refuses_other_words_and_leaves_the_result_alone),
    TEST(test_parse__quotes_only_what_is_text),
};
CHECK_MAIN(tests)
