/* The option `users` in PostgreSQL: which type the column has that user ids refer to, and whether they can. */
#include <string.h>

#include "postgres_error.h"
#include "postgres_schema.h"

/* PostgreSQL takes names without quotes in lower case; the core's reader keeps them as they stand. */
static void fold(char *text) {
  bool quoted = false;
  for (; *text != '\0'; text++) {
    if (*text == '"') quoted = !quoted;
    if (!quoted && *text >= 'A' && *text <= 'Z') *text = (char)(*text - 'A' + 'a');
  }
}

int convstore__postgres_normalize_users(char out[CONVSTORE_USERS_SIZE], const char *option,
                                        convstore_error *err) {
  struct convstore_users users;
  char folded[CONVSTORE_USERS_SIZE];
  size_t size = strlen(option);
  if (size < sizeof folded) {
    memcpy(folded, option, size + 1);
    fold(folded);
    option = folded;
  }
  int status = convstore__users_parse(&users, option, err);
  if (status == CONVSTORE_OK) convstore__users_sql(out, &users);
  return status;
}

/* One row: the type's name, and whether the column by itself identifies a row, as a foreign key needs. $1 is the table
 * as SQL, $2 the column. */
static const char column_sql[] =
    "SELECT CAST(CAST(a.atttypid AS regtype) AS text), EXISTS (SELECT FROM pg_catalog.pg_index AS i"
    " WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indnkeyatts = 1"
    " AND i.indkey[0] = a.attnum) FROM pg_catalog.pg_attribute AS a"
    " WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = CAST($2 AS name) AND a.attnum > 0"
    " AND NOT a.attisdropped";

static int parse(struct convstore_users *users, char table[CONVSTORE_USERS_SIZE],
                 const struct postgres_connection *connection, convstore_error *err) {
  int status = convstore__users_parse(users, connection->users, err);
  if (status != CONVSTORE_OK) return status;
  /* Everything before the parenthesis of the column, which is the last one that is not in quotes. */
  size_t size = strlen(connection->users) - 2;
  for (bool quoted = false; size > 0; size--) {
    char c = connection->users[size];
    if (c == '"') quoted = !quoted;
    if (c == '(' && !quoted) break;
  }
  memcpy(table, connection->users, size);
  table[size] = '\0';
  return CONVSTORE_OK;
}

int convstore__postgres_queue_users(struct postgres_connection *connection, struct convstore_call *call) {
  struct convstore_users users;
  char table[CONVSTORE_USERS_SIZE];
  struct postgres_params params = {0};
  int status = parse(&users, table, connection, call->err);
  if (status != CONVSTORE_OK) return status;
  convstore__postgres_add_string(&params, table);
  convstore__postgres_add_string(&params, users.column);
  convstore__postgres_queue_text(connection, column_sql, &params);
  return CONVSTORE_OK;
}

int convstore__postgres_receive_users(convstore_user_id_type *out,
                                      const struct postgres_connection *connection, const PGresult *result,
                                      convstore_error *err) {
  static const struct {
    const char *name;
    convstore_user_id_type type;
  } known[] = {
      {"text", CONVSTORE_USER_ID_TEXT},      {"character varying", CONVSTORE_USER_ID_TEXT},
      {"uuid", CONVSTORE_USER_ID_UUID},      {"bigint", CONVSTORE_USER_ID_BIGINT},
      {"integer", CONVSTORE_USER_ID_BIGINT},
  };
  static const enum postgres_type types[] = {POSTGRES_TEXT, POSTGRES_BOOL};
  struct convstore_users users;
  char table[CONVSTORE_USERS_SIZE];
  int status = convstore__postgres_check_columns(result, types, 2, err);
  if (status == CONVSTORE_OK) status = parse(&users, table, connection, err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(result) == 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "users: there is no column \"%s\" in a table %s; make it first", users.column,
                          table);
  if (!convstore__postgres_read_bool(result, 0, 1))
    return convstore_fail(
        err, CONVSTORE_E_INVALID,
        "users: \"%s\" of table %s is neither its primary key nor unique, so nothing can refer to it",
        users.column, table);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(PQgetvalue(result, 0, 0), known[i].name) != 0) continue;
    *out = known[i].type;
    return CONVSTORE_OK;
  }
  return convstore_fail(err, CONVSTORE_E_INVALID,
                        "users: \"%s\" of table %s has type %s; user ids are integers, text or UUIDs",
                        users.column, table, PQgetvalue(result, 0, 0));
}
