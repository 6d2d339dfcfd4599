/*
 * SQLSTATE by SQLSTATE: status, remedy and sentence. The codes are in PostgreSQL's appendix "Error Codes".
 * The server's own words stand in the sentence, but only the primary message: details may quote stored values.
 */
#include "postgres_error.h"

#include <string.h>

static const struct {
  const char *sqlstate; /* five characters, or two for a whole class; the first match counts */
  int status;
  enum postgres_remedy remedy;
  const char *advice;
} meanings[] = {
    {"23505", CONVSTORE_E_CONFLICT, POSTGRES_CONSTRAINT, "choose another"},
    {"23503", CONVSTORE_E_INVALID, POSTGRES_CONSTRAINT, "it refers to what is not there"},
    {"23", CONVSTORE_E_INVALID, POSTGRES_CONSTRAINT, "a rule of the database refused this"},
    {"22023", CONVSTORE_E_DENIED, POSTGRES_FINAL, ""}, /* set_config of a role that is not there; see below */
    {"22", CONVSTORE_E_INVALID, POSTGRES_FINAL, "the database cannot hold this value"},
    {"40001", CONVSTORE_E_BUSY, POSTGRES_SAME, "others were at the same rows; try again"},
    {"40P01", CONVSTORE_E_BUSY, POSTGRES_SAME, "others were at the same rows; try again"},
    {"55P03", CONVSTORE_E_BUSY, POSTGRES_FINAL, "a lock was not had in time; try again, or raise `timeout`"},
    {"57014", CONVSTORE_E_TIMEOUT, POSTGRES_FINAL, "it was not done in time; try again, or raise `timeout`"},
    {"57", CONVSTORE_E_UNAVAILABLE, POSTGRES_RECONNECT, "try again"},
    {"08", CONVSTORE_E_UNAVAILABLE, POSTGRES_RECONNECT, "try again"},
    {"25P03", CONVSTORE_E_UNAVAILABLE, POSTGRES_RECONNECT,
     "the transaction was idle for too long; run it again"},
    {"25006", CONVSTORE_E_READONLY, POSTGRES_RECONNECT, "connect to a server that takes writes"},
    {"26000", CONVSTORE_E_UNSUPPORTED, POSTGRES_UNNAMED,
     "behind a pooler open with prepare = \"auto\" or false"},
    {"42P05", CONVSTORE_E_UNSUPPORTED, POSTGRES_UNNAMED,
     "behind a pooler open with prepare = \"auto\" or false"},
    {"0A000", CONVSTORE_E_UNSUPPORTED, POSTGRES_UNNAMED,
     "open with prepare = false"}, /* "cached plan must not change" */
    {"53100", CONVSTORE_E_FULL, POSTGRES_FINAL, "free some space on the server and try again"},
    {"53200", CONVSTORE_E_UNAVAILABLE, POSTGRES_FINAL, "the server is out of memory; try again later"},
    {"53300", CONVSTORE_E_UNAVAILABLE, POSTGRES_RECONNECT, "it has no connection to spare; try again"},
    {"53", CONVSTORE_E_UNAVAILABLE, POSTGRES_FINAL, "the server is short of resources; try again later"},
    {"42501", CONVSTORE_E_DENIED, POSTGRES_FINAL, "let an administrator grant it"},
    {"28", CONVSTORE_E_DENIED, POSTGRES_FINAL, "check the user and the password"},
    {"55000", CONVSTORE_E_DENIED, POSTGRES_FINAL,
     "let an administrator allow it"}, /* ALLOW_CONNECTIONS false */
    {"3D000", CONVSTORE_E_DENIED, POSTGRES_FINAL, "create the database, or name another"},
    {"42P01", CONVSTORE_E_SCHEMA, POSTGRES_FINAL, "run convstore migrate up"},
    {"42703", CONVSTORE_E_SCHEMA, POSTGRES_FINAL, "run convstore migrate up"},
    {"42883", CONVSTORE_E_SCHEMA, POSTGRES_FINAL, "run convstore migrate up"},
    {"3F000", CONVSTORE_E_SCHEMA, POSTGRES_FINAL, "run convstore migrate up"},
    {"42P06", CONVSTORE_E_SCHEMA, POSTGRES_FINAL,
     "it is not convstore's; rename it, or open with another `schema`"},
    {"42P07", CONVSTORE_E_SCHEMA, POSTGRES_FINAL,
     "it is not convstore's; rename it, or open with another `schema`"},
    {"42710", CONVSTORE_E_SCHEMA, POSTGRES_FINAL,
     "it is not convstore's; rename it, or open with another `schema`"},
    {"42723", CONVSTORE_E_SCHEMA, POSTGRES_FINAL,
     "it is not convstore's; rename it, or open with another `schema`"},
    {"42939", CONVSTORE_E_INVALID, POSTGRES_FINAL, "choose another `schema`"}, /* pg_something */
    {"54", CONVSTORE_E_TOO_LARGE, POSTGRES_FINAL, "shorten it"},
    {"XX001", CONVSTORE_E_CORRUPT, POSTGRES_FINAL, "restore a backup"},
    {"XX002", CONVSTORE_E_CORRUPT, POSTGRES_FINAL, "rebuild the index with REINDEX"},
    {"58", CONVSTORE_E_UNAVAILABLE, POSTGRES_FINAL, "the server's system failed; look into its log"},
};

enum {
  MEANINGS = sizeof meanings / sizeof *meanings
};

static size_t find(const char *sqlstate) {
  size_t i = 0;
  while (i < MEANINGS && strncmp(sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) != 0) i++;
  return i;
}

/* The code as a number, as PostgreSQL's MAKE_SQLSTATE packs it. */
static int native(const char *sqlstate) {
  int packed = 0;
  for (int i = 0; i < 5 && sqlstate[i] != '\0'; i++) packed |= ((sqlstate[i] - '0') & 0x3f) << (6 * i);
  return packed;
}

enum postgres_remedy convstore__postgres_remedy(const char *sqlstate) {
  size_t i = find(sqlstate);
  return i < MEANINGS ? meanings[i].remedy : POSTGRES_FINAL;
}

int convstore__postgres_no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory");
}

/* The role that the call under way takes on; NULL: none. */
static const char *taken_role(const struct postgres_connection *connection) {
  if (connection->role == NULL || connection->operation == NULL) return connection->role;
  return connection->operation->frame == POSTGRES_FRAME_OPERATOR ? connection->operator_role
                                                                 : connection->role;
}

static int fail_role(const struct postgres_connection *connection, const char *role, convstore_error *err) {
  bool operates = role == connection->operator_role;
  return convstore_fail(
      err, CONVSTORE_E_DENIED,
      "the login cannot take on the role \"%s\"; let an administrator run \"CREATE ROLE %s NOLOGIN\" if "
      "it is missing and \"GRANT %s TO %s\", or open with %s",
      role, role, role, PQuser(connection->db),
      operates ? "a login that may work on all users" : "role = false");
}

/* A table, a column, a function, a schema. */
static bool is_missing(const char *sqlstate) {
  return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42703") == 0 || strcmp(sqlstate, "42883") == 0 ||
         strcmp(sqlstate, "3F000") == 0;
}

int convstore__postgres_fail(const PGresult *result, const struct postgres_connection *connection,
                             convstore_error *err) {
  const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (sqlstate == NULL) sqlstate = "";
  if (message == NULL) message = "no reason given";
  size_t i = find(sqlstate);
  /* The one statement that names the role is the transaction's settings. Both codes occur: missing, or not a member. */
  const char *role = taken_role(connection);
  bool about_role = role != NULL && strstr(message, role) != NULL && strstr(message, "role") != NULL &&
                    strstr(message, "GRANT") == NULL;
  if (about_role && (strcmp(sqlstate, "22023") == 0 || strcmp(sqlstate, "42501") == 0))
    (void)fail_role(connection, role, err);
  else if (is_missing(sqlstate) && connection->base.schema_version == (int)connection->base.backend->n_steps)
    (void)convstore_fail(err, CONVSTORE_E_SCHEMA,
                         "PostgreSQL says \"%s\" (%s): something that convstore made is gone, though its "
                         "migrations are all there; restore a backup",
                         message, sqlstate);
  else if (i == MEANINGS)
    (void)convstore_fail(err, CONVSTORE_E_INTERNAL, "PostgreSQL refused a statement of convstore: %s (%s)",
                         message, sqlstate);
  else if (strstr(message, "GRANT ") != NULL || strcmp(sqlstate, "54000") == 0) /* our own sentences, whole */
    (void)convstore_fail(err, meanings[i].status, "%s", message);
  else
    (void)convstore_fail(err, meanings[i].status, "PostgreSQL says \"%s\" (%s); %s", message, sqlstate,
                         meanings[i].advice);
  err->native = native(sqlstate);
  return err->status;
}

/* What libpq itself has to say, without the server: no code, only words. Only what no waiting can change. */
static const struct {
  const char *words;
  int status;
  const char *advice;
} client_meanings[] = {
    {"SSL was required", CONVSTORE_E_DENIED, "switch TLS on at the server, or choose another sslmode"},
    {"certificate", CONVSTORE_E_DENIED, "check sslrootcert, sslcert and the server's name"},
    {"no password supplied", CONVSTORE_E_DENIED, "give it by passfile, service or PGPASSWORD"},
    {"GSSAPI encryption required", CONVSTORE_E_DENIED, "choose another gssencmode"},
    {"channel binding", CONVSTORE_E_DENIED, "choose another channel_binding"},
    {"authentication method", CONVSTORE_E_DENIED, "choose another require_auth"},
    {"unsupported frontend protocol", CONVSTORE_E_UNSUPPORTED, "use PostgreSQL 13 or newer"},
};

int convstore__postgres_fail_connect(const struct postgres_connection *connection, const char *sqlstate,
                                     const char *reason, convstore_error *err) {
  (void)connection;
  if (sqlstate[0] != '\0') {
    size_t i = find(sqlstate);
    if (i == MEANINGS || meanings[i].status != CONVSTORE_E_DENIED) return POSTGRES_LOST;
    (void)convstore_fail(err, CONVSTORE_E_DENIED, "PostgreSQL says \"%s\" (%s); %s", reason, sqlstate,
                         meanings[i].advice);
    err->native = native(sqlstate);
    return err->status;
  }
  for (size_t i = 0; i < sizeof client_meanings / sizeof *client_meanings; i++)
    if (strstr(reason, client_meanings[i].words) != NULL)
      return convstore_fail(err, client_meanings[i].status, "no connection to PostgreSQL: %s; %s", reason,
                            client_meanings[i].advice);
  return POSTGRES_LOST;
}
