/*
 * The reader of the migrations table in a SQLite file that somebody has changed: each line of the input is a row of
 * SQL values, put into a table without any constraint. The store opens or says what is wrong, and where it opens in the
 * normal way the rows were those that belong there.
 */
#include "../convstore.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

static char path[64];
static sqlite3 *db;

static void run(const char *sql) {
  FUZZ_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static void remove_files(void) {
  char beside[sizeof path + 8];
  (void)sqlite3_close(db);
  (void)snprintf(beside, sizeof beside, "%s-wal", path);
  (void)unlink(beside);
  (void)snprintf(beside, sizeof beside, "%s-shm", path);
  (void)unlink(beside);
  (void)unlink(path);
}

/* A database that the library has set up, whose rows are kept aside. Without syncs: nothing here is to last. */
static void set_up(void) {
  convstore *store = NULL;
  (void)snprintf(path, sizeof path, "%s/convstore-fuzz-%ld.db",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
  FUZZ_CHECK(convstore_open(&store, path, NULL, NULL) == CONVSTORE_OK);
  convstore_close(store);
  FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK);
  FUZZ_CHECK(atexit(remove_files) == 0);
  run("PRAGMA synchronous = OFF; CREATE TABLE good AS SELECT * FROM convstore_migrations;"
      "DROP TABLE convstore_migrations;"
      "CREATE TABLE convstore_migrations (version, name, checksum, applied_at)");
}

/* A value: 'b' and bytes, 'i' and digits, 'f' and digits, 'n'; '=' is what belongs there; else text. */
static void bind(sqlite3_stmt *insert, int i, convstore_text value) {
  char *string = fuzz_string(value);
  int code = SQLITE_OK;
  if (value.size == 0 || string[0] == '=')
    code = sqlite3_bind_null(insert, i);
  else if (string[0] == 'i')
    code = sqlite3_bind_int64(insert, i, strtoll(string + 1, NULL, 10));
  else if (string[0] == 'f')
    code = sqlite3_bind_double(insert, i, strtod(string + 1, NULL));
  else if (string[0] == 'b')
    code = sqlite3_bind_blob(insert, i, string + 1, (int)value.size - 1, SQLITE_TRANSIENT);
  else if (string[0] != 'n')
    code = sqlite3_bind_text(insert, i, string, (int)value.size, SQLITE_TRANSIENT);
  FUZZ_CHECK(code == SQLITE_OK);
  free(string);
}

/* "+N" takes the N-th row that belongs there as it is; else up to four values with tabs between. */
static void insert_row(sqlite3_stmt *insert, convstore_text line) {
  char sql[128];
  if (line.size > 1 && line.data[0] == '+') {
    (void)snprintf(sql, sizeof sql, "INSERT INTO convstore_migrations SELECT * FROM good WHERE version = %d",
                   (unsigned char)line.data[1] - '0');
    run(sql);
    return;
  }
  for (int i = 1; i <= 4; i++) {
    const char *tab = memchr(line.data, '\t', line.size);
    convstore_text value = {line.data, tab ? (size_t)(tab - line.data) : line.size};
    bind(insert, i, value);
    size_t n = value.size + (tab != NULL);
    line.data += n;
    line.size -= n;
  }
  FUZZ_CHECK(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK);
}

static int64_t number(const char *sql) {
  sqlite3_stmt *statement = NULL;
  FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
  FUZZ_CHECK(sqlite3_step(statement) == SQLITE_ROW);
  int64_t value = sqlite3_column_int64(statement, 0);
  (void)sqlite3_finalize(statement);
  return value;
}

static void ask(convstore *store, convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {.n_messages = 0};
  convstore_error err = {0};
  request.operation = operation;
  int status = convstore_run(&result, store, &request, &err);
  if (status != CONVSTORE_OK) {
    FUZZ_CHECK(status == CONVSTORE_E_SCHEMA);
    fuzz_check_error(status, &err);
  }
  for (size_t i = 0; i < result.n_migrations; i++) FUZZ_CHECK(result.migrations[i].name != NULL);
  convstore_result_free(&result);
}

static void open_store(convstore_migrate migrate, bool good) {
  const convstore_options options = {.migrate = migrate, .durability_normal = true};
  convstore *store = NULL;
  convstore_error err = {0};
  int status = convstore_open(&store, path, &options, &err);
  if (status == CONVSTORE_OK) {
    FUZZ_CHECK(good || migrate == CONVSTORE_MIGRATE_NEVER);
    ask(store, CONVSTORE_SCHEMA_VERSION);
    ask(store, CONVSTORE_MIGRATIONS);
    ask(store, CONVSTORE_STATS);
  } else {
    FUZZ_CHECK(!good && status == CONVSTORE_E_SCHEMA && store == NULL);
    fuzz_check_error(status, &err);
  }
  convstore_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  sqlite3_stmt *insert = NULL;
  if (!db) set_up();
  run("BEGIN; DELETE FROM convstore_migrations");
  FUZZ_CHECK(sqlite3_prepare_v2(db, "INSERT INTO convstore_migrations VALUES (?1, ?2, ?3, ?4)", -1, &insert,
                                NULL) == SQLITE_OK);
  for (int n = 0; n < 64 && input.left > 0; n++) insert_row(insert, fuzz_line(&input));
  (void)sqlite3_finalize(insert);
  run("COMMIT");
  /* The rows as the reader sees them: in order, and of SQLite's own conversions. */
  const int64_t n = number("SELECT count(*) FROM convstore_migrations");
  const int64_t n_good = number("SELECT count(*) FROM good");
  const int64_t n_right = number(
      "SELECT count(*) FROM (SELECT *, row_number() OVER (ORDER BY version) AS n FROM convstore_migrations)"
      " AS m JOIN good ON good.version = n AND CAST(m.version AS INTEGER) = n AND CAST(m.name AS TEXT) = "
      "good.name AND CAST(m.checksum AS TEXT) = good.checksum AND m.applied_at IS NOT NULL");
  bool good = n == n_good && n_right == n_good;
  open_store(CONVSTORE_MIGRATE_NEVER, good);
  /* An older schema would be brought up to date, which is not what is looked at here. */
  if (good || n_right < n) open_store(CONVSTORE_MIGRATE_DEFAULT, good);
  return 0;
}
