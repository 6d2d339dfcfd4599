/* core/json_write.c: that what is written reads as what was meant, and is spelled in one way only. */
#include "../core/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

static void test_json_write__strings_escape_what_they_must(void) {
  convstore_result memory = {0};
  struct convstore_writer writer;
  convstore__write_start(&writer, convstore__arena(&memory), 1);
  convstore__write_string(&writer, (convstore_text){"a\"b\\c\b\f\n\r\t\x01\x1f\x7f\xC3\xA9/", 16});
  CHECK_STRING(convstore__written(&writer).data, "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xC3\xA9/\"");
  convstore_result_free(&memory);
}

/* Every byte at every place of a word, among bytes of every kind. */
static void test_json_write__finds_the_first_byte_to_escape(void) {
  static const char around[] = {'a', '!', '#', '[', ']', ' ', '\x7f', '\xC3', '\xFF', '\0'};
  for (size_t a = 0; a < sizeof around; a++) {
    for (size_t size = 1; size < 40; size++) {
      char text[40];
      memset(text, around[a], sizeof text);
      CHECK_INT((int64_t)convstore__json_plain(text, size), (int64_t)size);
      for (int byte = 0; byte < 256; byte++) {
        bool escaped = (byte < 0x20 && byte != 0) || byte == '"' || byte == '\\';
        size_t at = size / 2;
        text[at] = (char)byte;
        REQUIRE(convstore__json_plain(text, size) == (escaped ? at : size));
      }
    }
  }
}

static void test_json_write__floats_are_short_plain_and_have_a_point(void) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0, "0.0"},
               {-0.0, "-0.0"},
               {0.1, "0.1"},
               {1.5, "1.5"},
               {100, "100.0"},
               {1e21, "1000000000000000000000.0"},
               {1.0 / 3, "0.3333333333333333"},
               {-2e-7, "-0.0000002"},
               {123456789.125, "123456789.125"}};
  char text[CONVSTORE_JSON_FLOAT + 1];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    text[convstore__json_float(text, cases[i].value)] = '\0';
    CHECK_STRING(text, cases[i].text);
  }
  CHECK(convstore__json_float(text, 1.7976931348623157e308) < CONVSTORE_JSON_FLOAT);
  CHECK(convstore__json_float(text, -4.9406564584124654e-324) < CONVSTORE_JSON_FLOAT);
}

static void test_json_write__values_come_back(void) {
  static const char text[] =
      "{\"a\":[1,-9223372036854775808,0.5,true,false,null,{}],\"b\\n\":\"\\u0002\",\"c\":[]}";
  convstore_result memory = {0};
  struct convstore_writer writer;
  json_t *value = NULL;
  REQUIRE(convstore__json_parse(&value, (convstore_text){text, strlen(text)}, "x", NULL) == CONVSTORE_OK);
  convstore__write_start(&writer, convstore__arena(&memory), 0);
  convstore__write_value(&writer, value);
  CHECK_STRING(convstore__written(&writer).data, text);
  json_decref(value);
  convstore_result_free(&memory);
}

static void test_json_write__grows(void) {
  convstore_result memory = {0};
  struct convstore_writer writer;
  convstore__write_start(&writer, convstore__arena(&memory), 0);
  for (int i = 0; i < 100000; i++) CONVSTORE_WRITE(&writer, "0123456789");
  convstore_text all = convstore__written(&writer);
  CHECK_INT((int64_t)all.size, 1000000);
  CHECK_INT((int64_t)strlen(all.data), 1000000);
  CHECK(memcmp(all.data + 999990, "0123456789", 10) == 0);
  convstore_result_free(&memory);
}

static const struct check_test tests[] = {
    TEST(test_json_write__strings_escape_what_they_must),
    TEST(test_json_write__finds_the_first_byte_to_escape),
    TEST(test_json_write__floats_are_short_plain_and_have_a_point),
    TEST(test_json_write__values_come_back),
    TEST(test_json_write__grows),
};
CHECK_MAIN(tests)
