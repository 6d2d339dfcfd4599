/* The option `users` in SQLite: which type the column has that user ids refer to, and whether they can. */
#include <string.h>

#include "sqlite_operations.h"

int convstore__sqlite_normalize_users(char out[CONVSTORE_USERS_SIZE], const char *option,
                                      convstore_error *err) {
  struct convstore_users users = {0};
  int status = convstore__users_parse(&users, option, err);
  if (status != CONVSTORE_OK) return status;
  if (users.schema[0] != '\0' && sqlite3_stricmp(users.schema, "main") != 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "users names the schema \"%s\"; an SQLite file has only \"main\"", users.schema);
  users.schema[0] = '\0';
  convstore__users_sql(out, &users);
  return CONVSTORE_OK;
}

/* By SQLite's rules of affinity (https://www.sqlite.org/datatype3.html#determination_of_column_affinity). A column
 * declared UUID holds text as it is given. */
static bool user_id_type(convstore_user_id_type *out, const char *declared) {
  char upper[64] = "";
  for (size_t i = 0; declared[i] != '\0' && i + 1 < sizeof upper; i++)
    upper[i] = (char)(declared[i] >= 'a' && declared[i] <= 'z' ? declared[i] - 'a' + 'A' : declared[i]);
  if (strstr(upper, "INT") != NULL)
    *out = CONVSTORE_USER_ID_BIGINT;
  else if (strcmp(upper, "UUID") == 0)
    *out = CONVSTORE_USER_ID_UUID;
  else if (strstr(upper, "CHAR") != NULL || strstr(upper, "CLOB") != NULL || strstr(upper, "TEXT") != NULL ||
           upper[0] == '\0')
    *out = CONVSTORE_USER_ID_TEXT;
  else
    return false;
  return true;
}

/* One row: the declared type, and whether the column by itself identifies a row, as a foreign key needs. */
static const char column_sql[] =
    "SELECT type, (pk = 1 AND (SELECT max(pk) = 1 FROM pragma_table_info(?1))) OR EXISTS ("
    "SELECT 1 FROM pragma_index_list(?1) AS i WHERE i.\"unique\" AND NOT i.partial"
    " AND (SELECT count(*) = 1 AND max(name) = ?2 COLLATE NOCASE FROM pragma_index_info(i.name)))"
    " FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE";

static int judge_column(convstore_user_id_type *out, const struct convstore_users *users, sqlite3_stmt *row,
                        convstore_error *err) {
  const char *declared = (const char *)sqlite3_column_text(row, 0);
  if (declared == NULL) return convstore__sqlite_no_memory(err);
  if (!sqlite3_column_int(row, 1))
    return convstore_fail(
        err, CONVSTORE_E_INVALID,
        "users: \"%s\" of table \"%s\" is neither its primary key nor unique, so nothing can refer to it",
        users->column, users->table);
  if (user_id_type(out, declared)) return CONVSTORE_OK;
  return convstore_fail(err, CONVSTORE_E_INVALID,
                        "users: \"%s\" of table \"%s\" has type %s; user ids are integers, text or UUIDs",
                        users->column, users->table, declared);
}

int convstore__sqlite_users_type(convstore_user_id_type *out, struct sqlite_connection *connection,
                                 convstore_error *err) {
  struct convstore_users users = {0};
  sqlite3_stmt *statement = NULL;
  int status = convstore__users_parse(&users, connection->users, err);
  if (status != CONVSTORE_OK) return status;
  if (sqlite3_prepare_v2(connection->db, column_sql, -1, &statement, NULL) != SQLITE_OK ||
      sqlite3_bind_text(statement, 1, users.table, -1, SQLITE_STATIC) != SQLITE_OK ||
      sqlite3_bind_text(statement, 2, users.column, -1, SQLITE_STATIC) != SQLITE_OK) {
    status = convstore__sqlite_fail(connection, err);
    goto done;
  }
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW)
    status = judge_column(out, &users, statement, err);
  else if (code == SQLITE_DONE)
    status = convstore_fail(err, CONVSTORE_E_INVALID,
                            "users: there is no column \"%s\" in a table \"%s\"; make it first", users.column,
                            users.table);
  else
    status = convstore__sqlite_fail(connection, err);

done:
  (void)sqlite3_finalize(statement);
  return status;
}
