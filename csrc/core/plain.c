/* What a message says, as plain text. Knows JSON, no tokens. */
#include "plain.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

/* Appends each part's text and a newline to `to`, unless that is NULL. How many bytes these are. */
static size_t join(char *to, const json_t *parts) {
  size_t size = 0, i;
  json_t *part;
  json_array_foreach(parts, i, part) {
    const json_t *text = json_object_get(part, "text");
    if (!json_is_string(text)) continue;
    size_t n = json_string_length(text);
    if (to) {
      memcpy(to + size, json_string_value(text), n);
      to[size + n] = '\n';
    }
    size += n + 1;
  }
  return size;
}

int convstore__plain(convstore_text *out, char **owned, convstore_text content, convstore_text parts,
                     convstore_error *err) {
  json_t *array = NULL;
  *owned = NULL;
  if (!parts.data) {
    *out = content;
    return CONVSTORE_OK;
  }
  *out = (convstore_text){NULL, 0};
  int status = convstore__json_parse(&array, parts, "content", err);
  if (status == CONVSTORE_E_INVALID) return CONVSTORE_OK;
  if (status != CONVSTORE_OK) return status;

  size_t size = join(NULL, array);
  if (size > 0) {
    *owned = malloc(size);
    if (*owned) {
      join(*owned, array);
      *out = (convstore_text){.data = *owned, .size = size - 1};
    } else {
      status = convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to read content");
    }
  }
  json_decref(array);
  return status;
}
