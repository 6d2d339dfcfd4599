/*
 * JSON, by jansson. Knows no Lua and no tables.
 * Depth is counted before parsing: jansson's own limit is 2,048, and its recursion should not be tried by what callers
 * send.
 */
#include "json.h"

/* True where brackets nest deeper than allowed. Counts those of a text that is no JSON as well: it fails either way. */
static bool too_deep(convstore_text text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > CONVSTORE_MAX_JSON_DEPTH)
        return true;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

int convstore__json_parse(json_t **out, convstore_text text, const char *field, convstore_error *err) {
  if (!text.data)
    return convstore_fail(err, CONVSTORE_E_INVALID, "%s is no JSON: it is absent", field);
  if (too_deep(text))
    return convstore_fail(err, CONVSTORE_E_INVALID, "%s is nested deeper than %d levels", field,
                          CONVSTORE_MAX_JSON_DEPTH);
  json_error_t why = {.text = ""};
  json_t *value = json_loadb(text.data, text.size, JSON_DECODE_ANY, &why);
  if (value) {
    *out = value;
    return CONVSTORE_OK;
  }
  if (why.text[0] == '\0' || json_error_code(&why) == json_error_out_of_memory)
    return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory to read %s", field);
  return convstore_fail(err, CONVSTORE_E_INVALID, "%s is no JSON: %s (at byte %d)", field, why.text, why.position);
}

bool convstore__json_equal(convstore_text a, convstore_text b) {
  json_t *value_a = NULL;
  json_t *value_b = NULL;
  bool equal = convstore__json_parse(&value_a, a, "", NULL) == CONVSTORE_OK &&
               convstore__json_parse(&value_b, b, "", NULL) == CONVSTORE_OK && json_equal(value_a, value_b);
  json_decref(value_b);
  json_decref(value_a);
  return equal;
}
