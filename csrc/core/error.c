/* Errors: a status, its name, and one sentence. Allocates nothing, since running out of memory is one too. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static const char *const names[] = {
    [CONVSTORE_OK] = "ok",
    [-CONVSTORE_E_NOT_FOUND] = "not_found",
    [-CONVSTORE_E_INVALID] = "invalid",
    [-CONVSTORE_E_TOO_LARGE] = "too_large",
    [-CONVSTORE_E_CONFLICT] = "conflict",
    [-CONVSTORE_E_BUSY] = "busy",
    [-CONVSTORE_E_TIMEOUT] = "timeout",
    [-CONVSTORE_E_UNAVAILABLE] = "unavailable",
    [-CONVSTORE_E_SCHEMA] = "schema",
    [-CONVSTORE_E_FULL] = "full",
    [-CONVSTORE_E_READONLY] = "readonly",
    [-CONVSTORE_E_CORRUPT] = "corrupt",
    [-CONVSTORE_E_DENIED] = "denied",
    [-CONVSTORE_E_UNSUPPORTED] = "unsupported",
    [-CONVSTORE_E_INTERNAL] = "internal",
    [-CONVSTORE_E_MEMORY] = "memory",
};
_Static_assert(sizeof names / sizeof *names == 1 - CONVSTORE_E_MEMORY, "each status has a name");

const char *convstore_status_name(int status) {
  if (status > CONVSTORE_OK || status < CONVSTORE_E_MEMORY) return names[-CONVSTORE_E_INTERNAL];
  return names[-status];
}

int convstore_fail(convstore_error *err, int status, const char *format, ...) {
  if (!err) return status;
  /* Apart from err, since the arguments may come from err->message; one byte longer than it, so that the byte
   * behind a cut is known and tells whether it tears a character. */
  char text[sizeof err->message + 1];
  int n_name = snprintf(text, sizeof text, "%s: ", convstore_status_name(status));
  va_list arguments;
  va_start(arguments, format);
  int n_sentence = vsnprintf(text + n_name, sizeof text - (size_t)n_name, format, arguments);
  va_end(arguments);

  size_t size = (size_t)n_name + (n_sentence > 0 ? (size_t)n_sentence : 0);
  size = convstore__utf8_cut(text, size, sizeof err->message - 1);
  /* A path or name that is quoted may hold anything; logs have one line for an error, and terminals obey ESC. */
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) text[i] = ' ';
  memcpy(err->message, text, size);
  err->message[size] = '\0';
  err->status = status;
  err->native = 0;
  return status;
}
