/* JSON in: our reader against jansson's, and the round trip through our writer. A NUL, which jansson takes for the end
 * where it stands behind the value, is refused anywhere. */
#include "../core/json.h"
#include "../core/json_write.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static int depth_of(json_t *value) {
  int deepest = 0;
  const char *key;
  size_t i;
  json_t *child;
  if (!json_is_object(value) && !json_is_array(value)) return 0;
  json_object_foreach(value, key, child) {
    int depth = depth_of(child);
    if (depth > deepest) deepest = depth;
  }
  json_array_foreach(value, i, child) {
    int depth = depth_of(child);
    if (depth > deepest) deepest = depth;
  }
  return deepest + 1;
}

static convstore_text write(json_t *value, convstore_result *result) {
  struct convstore_writer writer;
  convstore__write_start(&writer, convstore__arena(result), 0);
  convstore__write_value(&writer, value);
  convstore_text written = convstore__written(&writer);
  FUZZ_CHECK(written.data != NULL && fuzz_is_utf8(written));
  return written;
}

/* What is written is read as the same value, by both readers, and written again as the same bytes. */
static void check_round_trip(json_t *value) {
  convstore_result result = {.n_messages = 0};
  convstore_text text = write(value, &result);
  json_t *again = NULL;
  bool equal = false;
  FUZZ_CHECK(convstore__json_parse_own(&again, text, "value", NULL) == CONVSTORE_OK);
  FUZZ_CHECK(json_equal(value, again));
  convstore_text second = write(again, &result);
  FUZZ_CHECK(second.size == text.size && memcmp(second.data, text.data, text.size) == 0);
  json_decref(again);
  again = json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
  FUZZ_CHECK(again != NULL && json_equal(value, again));
  json_decref(again);
  FUZZ_CHECK(convstore__json_equal(&equal, text, second, NULL) == CONVSTORE_OK && equal);
  convstore_result_free(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  char *copy = fuzz_exact((convstore_text){input.at, input.left});
  convstore_text text = {copy, size};
  convstore_error err = {0};
  json_t *ours = NULL, *lenient = NULL, *own = NULL;
  json_t *theirs = json_loadb(copy, size, JSON_DECODE_ANY, NULL);
  int status = convstore__json_parse(&ours, text, "value", &err);
  if (status != CONVSTORE_OK) {
    fuzz_check_error(status, &err);
    FUZZ_CHECK(status == CONVSTORE_E_INVALID && ours == NULL);
  }
  bool nul = memchr(copy, '\0', size) != NULL;
  FUZZ_CHECK((status == CONVSTORE_OK) ==
             (!nul && theirs != NULL && depth_of(theirs) <= CONVSTORE_MAX_JSON_DEPTH));
  if (ours) {
    FUZZ_CHECK(json_equal(ours, theirs));
    check_round_trip(ours);
  }

  FUZZ_CHECK(convstore__json_parse_lenient(&lenient, text, "value", NULL) == CONVSTORE_OK || !ours);
  if (ours) FUZZ_CHECK(json_equal(ours, lenient));
  if (lenient) check_round_trip(lenient);
  status = convstore__json_parse_own(&own, text, "value", NULL);
  FUZZ_CHECK(
      (status == CONVSTORE_OK) ==
      (!nul && theirs != NULL && depth_of(theirs) <= CONVSTORE_MAX_JSON_DEPTH + CONVSTORE_JSON_AROUND));

  json_decref(own);
  json_decref(lenient);
  json_decref(ours);
  json_decref(theirs);
  free(copy);
  return 0;
}
