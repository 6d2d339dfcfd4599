/* core/json.c: what it accepts and refuses, that it agrees with jansson's own reader, and what a full memory
 * does. */
#include "../core/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

/* The parsed value, or NULL after a failed check. */
static json_t *parsed(const char *text) {
  json_t *value = NULL;
  convstore_error err = {0};
  check_doing("%.200s", text);
  CHECK_INT(convstore__json_parse(&value, text_of(text), "metadata", &err), CONVSTORE_OK);
  CHECK_STRING(err.message, "");
  return value;
}

static void refused(convstore_text text, const char *why) {
  json_t *value = NULL;
  convstore_error err = {0};
  check_doing("%.*s", text.data ? (int)text.size : 0, text.data ? text.data : "");
  CHECK_INT(convstore__json_parse(&value, text, "metadata", &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "invalid: metadata is ");
  CHECK_HAS(err.message, why);
  CHECK(value == NULL);
}

static void test_json__reads_integers_exactly(void) {
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {
      {"0", 0},
      {"-0", 0},
      {"9007199254740993", INT64_C(9007199254740993)},
      {"1234567890123456789", INT64_C(1234567890123456789)},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775807", -INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {" \t\n\r42 ", 42},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *value = parsed(cases[i].text);
    CHECK(json_is_integer(value));
    CHECK_INT(json_integer_value(value), cases[i].value);
    json_decref(value);
  }
}

static void test_json__reads_floats_as_floats(void) {
  static const struct {
    const char *text;
    double value;
  } cases[] = {
      {"0.0", 0.0}, {"1.0", 1.0},     {"1e2", 100.0},  {"-2.5E-1", -0.25}, {"1E+3", 1000.0},
      {"0.1", 0.1}, {"1e308", 1e308}, {"1e-400", 0.0}, {"5e-324", 5e-324}, {"123456789.125", 123456789.125},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *value = parsed(cases[i].text);
    CHECK(json_is_real(value));
    CHECK(json_real_value(value) == cases[i].value);
    json_decref(value);
  }
  char digits[500]; /* the form in which a float of 1e300 is stored, and longer than any buffer for it */
  memset(digits, '0', sizeof digits);
  digits[0] = '1';
  memcpy(digits + 301, ".0", 3);
  json_t *value = parsed(digits);
  CHECK(json_real_value(value) == 1e300);
  json_decref(value);
  memset(digits, '0', sizeof digits);
  digits[0] = '3';
  digits[1] = '.';
  digits[sizeof digits - 1] = '\0';
  value = parsed(digits);
  CHECK(json_real_value(value) == 3.0);
  json_decref(value);
}

/* A bot may call os.setlocale; then the C library's own functions take a decimal comma. */
static void test_json__reads_floats_alike_in_every_locale(void) {
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", "es_ES.UTF-8",
                                      "de_DE.utf8"};
  const char *set = NULL;
  for (size_t i = 0; !set && i < sizeof names / sizeof *names; i++) set = setlocale(LC_NUMERIC, names[i]);
  if (!set) printf("note: no locale with a decimal comma is installed; only the C locale was tried\n");
  json_t *value = parsed("1.5");
  CHECK(json_real_value(value) == 1.5);
  json_decref(value);
  setlocale(LC_NUMERIC, "C");
}

static void test_json__decodes_strings(void) {
  static const struct {
    const char *text;
    const char *value;
  } cases[] = {
      {"\"\"", ""},
      {"\"plain\"", "plain"},
      {"\"gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80\"", "gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80"},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
      {"\"\\u0041\\u00e9\\u4F60\\uD83D\\uDE00\\u0001\"", "A\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80\x01"},
      {"\"\\uFFFF\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
      {"\"\x7F\"", "\x7F"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *value = parsed(cases[i].text);
    CHECK_STRING(json_string_value(value), cases[i].value);
    json_decref(value);
  }
}

static void test_json__reads_tables(void) {
  json_t *value = parsed("{\"a\": [1, {\"\": null}, []], \"b\" :{} , \"caf\\u00e9\":true,\"a2\":false}");
  CHECK_INT((int64_t)json_object_size(value), 4);
  CHECK_INT((int64_t)json_array_size(json_object_get(value, "a")), 3);
  CHECK(json_is_null(json_object_get(json_array_get(json_object_get(value, "a"), 1), "")));
  CHECK(json_is_true(json_object_get(value, "caf\xC3\xA9")));
  CHECK(json_is_false(json_object_get(value, "a2")));
  json_decref(value);
}

static void test_json__refuses_what_is_none(void) {
  static const struct {
    const char *text;
    const char *why;
  } cases[] = {
      {"", "premature end at byte 1"},
      {"  ", "premature end at byte 3"},
      {"[1,", "premature end at byte 4"},
      {"[1,]", "invalid token at byte 4"},
      {"[1 2]", "',' or ']' expected at byte 4"},
      {"{\"a\" 1}", "':' expected at byte 6"},
      {"{a:1}", "a string expected at byte 2"},
      {"{\"a\":1,}", "a string expected at byte 8"},
      {"{\"a\":1", "',' or '}' expected at byte 7"},
      {"[1]x", "something behind the value at byte 4"},
      {"\xEF\xBB\xBF[]", "invalid token at byte 1"},
      {"nul", "invalid token at byte 1"},
      {"TRUE", "invalid token at byte 1"},
      {"'a'", "invalid token at byte 1"},
      {"NaN", "invalid token at byte 1"},
      {"+1", "invalid token at byte 1"},
      {".5", "invalid token at byte 1"},
      {"-", "a digit is missing at byte 2"},
      {"1.", "a digit is missing at byte 3"},
      {"1e+", "a digit is missing at byte 4"},
      {"01", "something behind the value at byte 2"},
      {"9223372036854775808", "an integer beyond 64 bits at byte 1"},
      {"[-9223372036854775809]", "an integer beyond 64 bits at byte 2"},
      {"99999999999999999999999999", "an integer beyond 64 bits at byte 1"},
      {"[0, 1e309]", "a number beyond the range of a double at byte 5"},
      {"\"", "premature end at byte 2"},
      {"\"abc", "premature end at byte 5"},
      {"\"abc\\", "premature end at byte 6"},
      {"\"a\nb\"", "a control character in a string at byte 3"},
      {"\"\\x\"", "invalid escape at byte 2"},
      {"\"\\u12\"", "invalid escape at byte 2"},
      {"\"\\u12G4\"", "invalid escape at byte 2"},
      {"\"\\u0000\"", "\\u0000 is not allowed at byte 2"},
      {"{\"\\u0000\":1}", "\\u0000 is not allowed at byte 3"},
      {"\"\\uD800\"", "half a surrogate pair at byte 2"},
      {"\"\\uD800\\u0041\"", "half a surrogate pair at byte 2"},
      {"\"\\uDC00\\uD800\"", "half a surrogate pair at byte 2"},
      {"\"\xFF\"", "invalid UTF-8 at byte 2"},
      {"\"ab\xED\xA0\x80\"", "invalid UTF-8 at byte 4"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refused(text_of(cases[i].text), cases[i].why);
  refused((convstore_text){0}, "premature end at byte 1");
  refused((convstore_text){.data = "[1]\0", .size = 4}, "something behind the value at byte 4");
  refused((convstore_text){.data = "\"a\0\"", .size = 4}, "a control character in a string at byte 3");
}

/* Each prefix of a text lies in a block of its own, so that the sanitizer sees a byte read beyond it. */
static void test_json__refuses_every_proper_prefix(void) {
  static const char whole[] = "{\"key\\n\":[-12.5e+3,\"\\uD83D\\uDE00\\t\xC3\xA9\",true,false,null,{}]}";
  for (size_t size = 0; size < sizeof whole - 1; size++) {
    char *prefix = malloc(size ? size : 1);
    json_t *value = NULL;
    REQUIRE(prefix != NULL);
    memcpy(prefix, whole, size);
    check_doing("%zu bytes", size);
    CHECK_INT(convstore__json_parse(&value, (convstore_text){prefix, size}, "f", NULL), CONVSTORE_E_INVALID);
    free(prefix);
  }
  json_decref(parsed(whole));
}

/* `depth` levels of arrays, or of objects. */
static char *nested(int depth, bool objects) {
  size_t size = (size_t)depth * 6 + 2;
  char *text = calloc(1, size), *to = text;
  for (int i = 0; text && i < depth; i++) {
    const char *opening = !objects ? "[" : i + 1 < depth ? "{\"a\":" : "{";
    memcpy(to, opening, strlen(opening));
    to += strlen(opening);
  }
  if (text) memset(to, objects ? '}' : ']', (size_t)depth);
  return text;
}

static void test_json__limits_depth(void) {
  for (int objects = 0; objects <= 1; objects++) {
    char *deep = nested(CONVSTORE_MAX_JSON_DEPTH, objects);
    char *too_deep = nested(CONVSTORE_MAX_JSON_DEPTH + 1, objects);
    char *far_too_deep = nested(1000000, objects);
    REQUIRE(deep && too_deep && far_too_deep);
    json_decref(parsed(deep));
    refused(text_of(too_deep), "nested deeper than 64 levels");
    refused(text_of(far_too_deep), "nested deeper than 64 levels");
    free(deep);
    free(too_deep);
    free(far_too_deep);
  }
  char wide[3 * 200 + 1]; /* neighbours are no depth */
  for (size_t i = 0; i < 200; i++) memcpy(wide + 3 * i, "[],", 3);
  wide[0] = '[';
  wide[1] = '1';
  wide[sizeof wide - 2] = ']';
  wide[sizeof wide - 1] = '\0';
  json_decref(parsed(wide));
}

/* A small generator (xorshift) with a fixed seed: the same mutations in each run. */
static unsigned next_random(void) {
  static uint64_t state = UINT64_C(88172645463325252);
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)(state >> 16);
}

static size_t mutate(char *text, size_t size, size_t room) {
  static const char letters[] = "{}[]:,\"\\u0123456789abcdefDE+-. \ntrnulsfa\x01\xC3\xA9\xED\xA0\x80/";
  char letter = letters[next_random() % (sizeof letters - 1)];
  size_t at = size ? next_random() % size : 0;
  switch (next_random() % 3) {
  case 0:
    if (size) text[at] = letter;
    return size;
  case 1:
    if (size == room) return size;
    memmove(text + at + 1, text + at, size - at);
    text[at] = letter;
    return size + 1;
  default:
    if (!size) return size;
    memmove(text + at, text + at + 1, size - at - 1);
    return size - 1;
  }
}

static void test_json__agrees_with_jansson_on_damaged_texts(void) {
  static const char *const seeds[] = {
      "{\"a\":[1,2.5,-3e4,true,false,null,\"x\\u00e9\\ud83d\\ude00\\n\"]}",
      "[9223372036854775807,-9223372036854775808,9223372036854775808,1e308,1e309,-0,-0.0,0]",
      "[9223372036854775807,-9223372036854775808,1e308,-0,-0.0,0]",
      "\"\\u0041\\\\\\/\\b\\f\\r\\t\"",
      "{\"k\":{\"k\":{}},\"k\":[[],[[]]]}",
      "  \t\n[ 1 , 2 ]\r ",
      "{\"\xC3\xA9\":\"\xE4\xBD\xA0\xF0\x9F\x98\x80\"}",
      "123.456E-7",
  };
  int n_accepted = 0;
  for (int round = 0; round < 200000; round++) {
    const char *seed = seeds[next_random() % (sizeof seeds / sizeof *seeds)];
    char text[128];
    size_t size = strlen(seed);
    memcpy(text, seed, size);
    for (unsigned n = next_random() % 4; n > 0; n--) size = mutate(text, size, sizeof text);
    json_t *expected = json_loadb(text, size, JSON_DECODE_ANY, NULL);
    json_t *got = NULL;
    int status = convstore__json_parse(&got, (convstore_text){.data = text, .size = size}, "f", NULL);
    check_doing("%.*s", (int)size, text);
    CHECK((status == CONVSTORE_OK) == (expected != NULL));
    if (got && expected) CHECK(json_equal(got, expected));
    n_accepted += got != NULL;
    json_decref(expected);
    json_decref(got);
  }
  check_doing("%d accepted", n_accepted);
  CHECK(n_accepted > 20000 && n_accepted < 180000);
}

static void test_json_equal__compares_values(void) {
  static const struct {
    const char *a, *b;
    bool equal;
  } cases[] = {
      {"{\"a\":1,\"b\":[2,3]}", "{ \"b\" : [2, 3], \"a\" : 1 }", true},
      {"[1,2]", "[2,1]", false},
      {"\"\\u00e9\"", "\"\xC3\xA9\"", true},
      {"1", "1.0", false},
      {"{}", "[]", false},
      {"null", "null", true},
      {"{\"a\":null}", "{}", false},
      {"[", "[", false},
      {"", "", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_doing("%s and %s", cases[i].a, cases[i].b);
    bool equal = !cases[i].equal;
    CHECK_INT(convstore__json_equal(&equal, text_of(cases[i].a), text_of(cases[i].b), NULL), CONVSTORE_OK);
    CHECK(equal == cases[i].equal);
    equal = !cases[i].equal;
    CHECK_INT(convstore__json_equal(&equal, text_of(cases[i].b), text_of(cases[i].a), NULL), CONVSTORE_OK);
    CHECK(equal == cases[i].equal);
  }
  bool equal = true;
  CHECK_INT(convstore__json_equal(&equal, (convstore_text){0}, text_of("1"), NULL), CONVSTORE_OK);
  CHECK(!equal);
}

/* jansson's allocations, counted; the one numbered `failing` fails. */
static int n_allocations, failing, n_live;

static void *counting_malloc(size_t size) {
  if (n_allocations++ == failing) return NULL;
  void *block = malloc(size);
  n_live += block != NULL;
  return block;
}

static void counting_free(void *block) {
  n_live -= block != NULL;
  free(block);
}

static void test_json__out_of_memory_is_reported_and_leaks_nothing(void) {
  static const char text[] =
      "{\"a key that is longer than fifteen bytes\":[12345678901234567890.5,1234567890123456789,"
      "\"01234567890123\",\"01234567890123456\",\"\\u00e9scaped and rather long\"],\"b\":{}}";
  json_malloc_t real_malloc;
  json_free_t real_free;
  json_t *expected = parsed(text);
  json_get_alloc_funcs(&real_malloc, &real_free);
  json_set_alloc_funcs(counting_malloc, counting_free);
  int status = CONVSTORE_E_MEMORY;
  for (failing = 0; status != CONVSTORE_OK && failing < 1000; failing++) {
    json_t *value = NULL;
    convstore_error err = {0};
    n_allocations = n_live = 0;
    status = convstore__json_parse(&value, text_of(text), "metadata", &err);
    check_doing("allocation %d fails", failing);
    if (n_allocations > failing) {
      CHECK_INT(status, CONVSTORE_E_MEMORY);
      CHECK_STRING(err.message, "memory: there is not enough memory to read metadata");
      CHECK(value == NULL);
    } else {
      CHECK_INT(status, CONVSTORE_OK);
      CHECK(json_equal(value, expected));
    }
    json_decref(value);
    CHECK_INT(n_live, 0);
  }
  CHECK(failing > 10 && failing < 1000);
  json_set_alloc_funcs(real_malloc, real_free);
  json_decref(expected);
}

static const struct check_test tests[] = {
    TEST(test_json__reads_integers_exactly),
    TEST(test_json__reads_floats_as_floats),
    TEST(test_json__reads_floats_alike_in_every_locale),
    TEST(test_json__decodes_strings),
    TEST(test_json__reads_tables),
    TEST(test_json__refuses_what_is_none),
    TEST(test_json__refuses_every_proper_prefix),
    TEST(test_json__limits_depth),
    TEST(test_json__agrees_with_jansson_on_damaged_texts),
    TEST(test_json_equal__compares_values),
    TEST(test_json__out_of_memory_is_reported_and_leaks_nothing),
};
CHECK_MAIN(tests)
