/*
 * DSNs: which backend takes one, and whether it makes a connection of it, before anything is opened. Against libpq's
 * own reading of what is PostgreSQL's; and no password in what an error says.
 */
#include "../core/backend.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

static bool starts(const char *dsn, const char *with) {
  return strncmp(dsn, with, strlen(with)) == 0;
}

/* What a password is written as, in both forms. Where the word stands elsewhere too, it may be shown for that. */
static void check_secret(const char *dsn, const convstore_error *err) {
  const char *secret = strstr(dsn, "sesame");
  if (!secret || strstr(secret + 1, "sesame")) return;
  if (strstr(dsn, "password=sesame") || strstr(dsn, ":sesame@"))
    FUZZ_CHECK(strstr(err->message, "sesame") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  char *dsn = fuzz_string(fuzz_rest(&input));
  const struct convstore_backend *backend = NULL;
  const char *location = NULL;
  struct convstore_connection *connection = NULL;
  const convstore_options options = {.migrate = CONVSTORE_MIGRATE_DEFAULT};
  convstore_error err = {0};
  bool postgres = starts(dsn, "postgres:") || starts(dsn, "postgresql:");
  int status = convstore__backend_for(&backend, &location, dsn, &err);
  if (status != CONVSTORE_OK) {
    FUZZ_CHECK(status == CONVSTORE_E_UNSUPPORTED && strstr(dsn, "://") != NULL && !postgres);
    FUZZ_CHECK(!starts(dsn, "sqlite:"));
    fuzz_check_error(status, &err);
    check_secret(dsn, &err);
    free(dsn);
    return 0;
  }
  FUZZ_CHECK(strcmp(backend->name, postgres ? "postgres" : "sqlite") == 0);
  size_t n_location = strlen(location);
  FUZZ_CHECK(n_location <= strlen(dsn) && strcmp(dsn + strlen(dsn) - n_location, location) == 0);

  status = backend->create(&connection, location, &options, &err);
  if (status == CONVSTORE_OK) {
    FUZZ_CHECK(connection->backend == backend);
    backend->close(connection);
  } else {
    FUZZ_CHECK(status == CONVSTORE_E_INVALID && connection == NULL);
    fuzz_check_error(status, &err);
    check_secret(dsn, &err);
  }
  if (postgres) {
    bool is_uri = starts(location, "//");
    const char *scheme = "postgresql:";
    char *whole = malloc(strlen(scheme) + n_location + 1);
    FUZZ_CHECK(whole != NULL);
    memcpy(whole, scheme, strlen(scheme));
    memcpy(whole + strlen(scheme), location, n_location + 1);
    PQconninfoOption *read = PQconninfoParse(is_uri ? whole : location, NULL);
    FUZZ_CHECK((read != NULL) == (status == CONVSTORE_OK));
    PQconninfoFree(read);
    free(whole);
  } else {
    FUZZ_CHECK((status == CONVSTORE_OK) == (location[0] != '\0'));
  }
  free(dsn);
  return 0;
}
