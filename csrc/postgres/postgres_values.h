/*
 * Values on their way to and from PostgreSQL. Knows types and bytes, no statements.
 * Results are binary: times and ids need no printing and parsing, and a value of an unexpected type is noticed.
 * Parameters are binary too but for ids; JSON goes as text and is cast by the statement.
 */
#ifndef CONVSTORE_POSTGRES_VALUES_H
#define CONVSTORE_POSTGRES_VALUES_H

#include "postgres_connection.h"

/* From PostgreSQL's catalog, where they never change (src/include/catalog/pg_type.dat). */
enum postgres_type {
  POSTGRES_BOOL = 16,
  POSTGRES_BYTEA = 17,
  POSTGRES_INT8 = 20,
  POSTGRES_INT4 = 23,
  POSTGRES_TEXT = 25,
  POSTGRES_BYTEA_ARRAY = 1001,
  POSTGRES_INT8_ARRAY = 1016,
  POSTGRES_TEXT_ARRAY = 1009,
  POSTGRES_TIMESTAMPTZ = 1184,
  POSTGRES_TIMESTAMPTZ_ARRAY = 1185,
  POSTGRES_UUID = 2950,
  POSTGRES_UUID_ARRAY = 2951,
  POSTGRES_JSONB = 3802
};

#define POSTGRES_MAX_PARAMS 20

/* Parameters in order. What they borrow lives until the statement is queued. Start from zeroes. */
struct postgres_params {
  int n;
  Oid types[POSTGRES_MAX_PARAMS];
  const char *values[POSTGRES_MAX_PARAMS];
  int lengths[POSTGRES_MAX_PARAMS];
  int formats[POSTGRES_MAX_PARAMS];
  char numbers[POSTGRES_MAX_PARAMS][8];
};

/* Absent values become NULL. */
void convstore__postgres_add_text(struct postgres_params *params, convstore_text text);
void convstore__postgres_add_string(struct postgres_params *params, const char *text);
void convstore__postgres_add_bytes(struct postgres_params *params, const void *data, size_t size);
void convstore__postgres_add_id(struct postgres_params *params, const char *id);
void convstore__postgres_add_integer(struct postgres_params *params, int64_t value);
void convstore__postgres_add_time(struct postgres_params *params, int64_t time_ms);

/* $1 and $2, which almost every statement begins with. */
void convstore__postgres_add_conversation(struct postgres_params *params, const struct convstore_call *call);

/* An array that is filled element by element, in the result's arena. */
struct postgres_array {
  unsigned char *bytes;
  size_t size;
  size_t capacity;
};

/* Begins an array of `n` elements of at most `n_bytes` altogether. E_MEMORY, E_TOO_LARGE. */
int convstore__postgres_array_start(struct postgres_array *out, struct convstore_call *call,
                                    enum postgres_type element, size_t n, size_t n_bytes);
void convstore__postgres_array_text(struct postgres_array *array, convstore_text text); /* bytea, too */
void convstore__postgres_array_id(struct postgres_array *array, const char *id);
void convstore__postgres_array_integer(struct postgres_array *array, int64_t value);
void convstore__postgres_array_time(struct postgres_array *array, int64_t time_ms);
void convstore__postgres_add_array(struct postgres_params *params, enum postgres_type type,
                                   const struct postgres_array *array);

/* Checks that the result has these columns: only then may the readers below be used. E_SCHEMA. */
int convstore__postgres_check_columns(const PGresult *result, const enum postgres_type *types, int n,
                                      convstore_error *err);

bool convstore__postgres_is_null(const PGresult *result, int row, int column);
bool convstore__postgres_read_bool(const PGresult *result, int row, int column);
int64_t convstore__postgres_read_integer(const PGresult *result, int row,
                                         int column); /* int4 or int8; NULL: CONVSTORE_ABSENT */
int64_t convstore__postgres_read_time(const PGresult *result, int row,
                                      int column); /* NULL: CONVSTORE_ABSENT */
void convstore__postgres_read_id(char out[CONVSTORE_ID_SIZE], const PGresult *result, int row,
                                 int column); /* NULL: "" */
/* text, bytea or jsonb, borrowed from the result; NULL: absent. */
convstore_text convstore__postgres_peek_text(const PGresult *result, int row, int column);
/* The same, copied to the arena, JSON without the blanks that jsonb prints. E_MEMORY. */
int convstore__postgres_read_text(convstore_text *out, const PGresult *result, int row, int column,
                                  struct convstore_call *call);

#endif
