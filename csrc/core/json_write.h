/*
 * Writing JSON: the one way in which this library spells it, and a buffer in an arena to spell it into.
 * It knows no Lua and no messages. What the binding's encoder makes of Lua tables and what the core writes itself
 * must be the same bytes, so both take the spelling of strings and floats from here.
 */
#ifndef CONVSTORE_CORE_JSON_WRITE_H
#define CONVSTORE_CORE_JSON_WRITE_H

#include "arena.h"
#include "json.h"

/* Room for one escaped byte and for a float. */
#define CONVSTORE_JSON_ESCAPE 8
#define CONVSTORE_JSON_FLOAT 400

/* How many bytes from `data` on may stand in a string as they are. NUL may: it is others' to refuse. */
size_t convstore__json_plain(const char *data, size_t size);
/* Escapes a byte that may not. Returns the size. */
size_t convstore__json_escape(char out[CONVSTORE_JSON_ESCAPE], unsigned char byte);
/* A finite number without an exponent and always with a point. Returns the size. */
size_t convstore__json_float(char out[CONVSTORE_JSON_FLOAT], double value);

/* A text that grows. Once it is out of memory nothing is added any more, so that writers look only at the end. */
struct convstore_writer {
  struct convstore_arena *arena;
  char *data;
  size_t size;
  size_t capacity;
  bool failed;
};

/* `expected` bytes are taken at once. */
void convstore__write_start(struct convstore_writer *out, struct convstore_arena *arena, size_t expected);
void convstore__write(struct convstore_writer *writer, const char *data, size_t size);
/* A string literal, as it is. */
#define CONVSTORE_WRITE(writer, literal) convstore__write((writer), literal, sizeof literal - 1)
/* A text as a JSON string. */
void convstore__write_string(struct convstore_writer *writer, convstore_text text);
/* A JSON value, compactly. */
void convstore__write_value(struct convstore_writer *writer, json_t *value);
/* The text so far; absent after a failure. It is the arena's. */
convstore_text convstore__written(const struct convstore_writer *writer);

#endif
