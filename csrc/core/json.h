/*
 * JSON: what a stored or given text means, as jansson's values. Knows no Lua and no tables.
 * Integers are 64-bit and exact, U+0000 is refused, nesting is limited to CONVSTORE_MAX_JSON_DEPTH.
 */
#ifndef CONVSTORE_CORE_JSON_H
#define CONVSTORE_CORE_JSON_H

#include <jansson.h>

#include "../convstore.h"

/* Parses one value of any type. The error names `field` and the position. *out is owned: json_decref().
 * E_INVALID: no JSON, a number beyond 64 bits without a point, \u0000, too deep; E_MEMORY. */
int convstore__json_parse(json_t **out, convstore_text text, const char *field, convstore_error *err);

/* The same for what is read and not stored again: an integer beyond 64 bits becomes a float. */
int convstore__json_parse_lenient(json_t **out, convstore_text text, const char *field, convstore_error *err);

/* Levels that a context puts around a stored value. */
#define CONVSTORE_JSON_AROUND 4

/* The same for a text of our own, which may have so many levels more. */
int convstore__json_parse_own(json_t **out, convstore_text text, const char *field, convstore_error *err);

/* *equal: both texts are JSON of the same value, whatever the order of keys. E_MEMORY; a text that is no JSON is no
 * failure and equals nothing. */
int convstore__json_equal(bool *equal, convstore_text a, convstore_text b, convstore_error *err);

#endif
