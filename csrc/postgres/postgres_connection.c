/*
 * Connecting without blocking. libpq's PQconnectPoll() does most of it, but three things it leaves to its callers: it
 * looks up names while everybody waits, it ignores connect_timeout, and it cannot be told to go on to the next host.
 * So the hosts of a DSN are taken apart here into candidates of one address each, tried one after the other.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/clock.h"
#include "postgres_error.h"
#include "postgres_lookup.h"
#include "postgres_pipeline.h"

enum {
  OLDEST_SERVER = 130000,
  LEAST_TIMEOUT_MS = 2000, /* as libpq's own connect_timeout */
  UTF8 = 6                 /* PostgreSQL's number for the encoding (src/include/mb/pg_wchar.h) */
};

/* One place to connect to. NULLs are left to libpq. */
struct postgres_candidate {
  char *host;
  char *address;
  char *port;
};

void convstore__postgres_set_reason(struct postgres_connection *connection, const char *reason) {
  (void)snprintf(connection->lost_reason, sizeof connection->lost_reason, "%s", reason);
  for (char *at = connection->lost_reason; *at != '\0'; at++)
    if (*at == '\n' || *at == '\t') *at = ' ';
  size_t size = strlen(connection->lost_reason);
  while (size > 0 && connection->lost_reason[size - 1] == ' ') connection->lost_reason[--size] = '\0';
}

/* ---- candidates ------------------------------------------------------------------------------------------------ */

static void forget_candidates(struct postgres_connection *connection) {
  for (size_t i = 0; i < connection->n_candidates; i++) {
    free(connection->candidates[i].host);
    free(connection->candidates[i].address);
    free(connection->candidates[i].port);
  }
  free(connection->candidates);
  connection->candidates = NULL;
  connection->n_candidates = 0;
}

static char *copy(const char *text, size_t size) {
  char *out = malloc(size + 1);
  if (out != NULL) {
    memcpy(out, text, size);
    out[size] = '\0';
  }
  return out;
}

/* The i-th of a list with commas, copied; the only one of a list of one is for all. *out is NULL where it is empty. */
static bool list_item(char **out, const char *list, size_t i) {
  *out = NULL;
  if (list == NULL || strchr(list, ',') == NULL) i = 0;
  for (; list != NULL && i > 0; i--) {
    list = strchr(list, ',');
    if (list != NULL) list++;
  }
  if (list == NULL || list[strcspn(list, ",")] == list[0]) return true;
  *out = copy(list, strcspn(list, ","));
  return *out != NULL;
}

static size_t list_length(const char *list) {
  size_t n = list != NULL && list[0] != '\0';
  for (; n > 0 && (list = strchr(list, ',')) != NULL; list++) n++;
  return n;
}

static bool add_candidate(struct postgres_connection *connection, const struct postgres_candidate *like,
                          const char *address) {
  size_t n = connection->n_candidates;
  struct postgres_candidate *more = realloc(connection->candidates, (n + 1) * sizeof *more);
  if (more == NULL) return false;
  connection->candidates = more;
  connection->n_candidates = n + 1;
  more[n] = (struct postgres_candidate){0};
  if (like->host != NULL) more[n].host = copy(like->host, strlen(like->host));
  if (address != NULL) more[n].address = copy(address, strlen(address));
  if (like->port != NULL) more[n].port = copy(like->port, strlen(like->port));
  return (like->host == NULL) == (more[n].host == NULL) && (address == NULL) == (more[n].address == NULL) &&
         (like->port == NULL) == (more[n].port == NULL);
}

static const char *option(const PQconninfoOption *options, const char *keyword) {
  for (; options->keyword != NULL; options++)
    if (strcmp(options->keyword, keyword) == 0) return options->val;
  return NULL;
}

static bool needs_lookup(const struct postgres_candidate *candidate) {
  unsigned char ignored[sizeof(struct in6_addr)];
  const char *host = candidate->host;
  if (candidate->address != NULL || host == NULL || host[0] == '/' || host[0] == '@') return false;
  return inet_pton(AF_INET, host, ignored) != 1 && inet_pton(AF_INET6, host, ignored) != 1;
}

static int start_lookup(struct postgres_connection *connection, convstore_error *err) {
  bool needed = false;
  const char **names = calloc(connection->n_candidates, sizeof *names);
  if (names == NULL || connection->candidates == NULL) {
    free(names);
    return convstore__postgres_no_memory(err);
  }
  for (size_t i = 0; i < connection->n_candidates; i++) {
    if (!needs_lookup(&connection->candidates[i])) continue;
    names[i] = connection->candidates[i].host;
    needed = true;
  }
  int status = CONVSTORE_OK;
  if (needed)
    status = convstore__postgres_lookup_start(&connection->lookup, names, connection->n_candidates, err);
  free(names);
  return status;
}

/*
 * Asks libpq what the DSN, its service and the environment come to. The only way is to begin a connection, so it is
 * begun with a value that libpq refuses before it opens anything; the real connection takes the DSN's own.
 */
static PGconn *probe(const struct postgres_connection *connection) {
  const char *const keywords[] = {"dbname", "channel_binding", NULL};
  const char *const values[] = {connection->dsn, "?", NULL};
  return PQconnectStartParams(keywords, values, 1);
}

static int read_hosts(struct postgres_connection *connection, const PQconninfoOption *options,
                      convstore_error *err) {
  const char *hosts = option(options, "host");
  const char *addresses = option(options, "hostaddr");
  const char *ports = option(options, "port");
  const char *timeout = option(options, "connect_timeout");
  const char *attributes = option(options, "target_session_attrs");
  size_t n = list_length(addresses) > 0 ? list_length(addresses) : list_length(hosts);
  bool good = true;
  connection->connect_timeout_ms = timeout == NULL ? 0 : strtol(timeout, NULL, 10) * 1000;
  if (connection->connect_timeout_ms > 0 && connection->connect_timeout_ms < LEAST_TIMEOUT_MS)
    connection->connect_timeout_ms = LEAST_TIMEOUT_MS;
  if (n == 0) n = 1;
  connection->standby_first = n > 1 && attributes != NULL && strcmp(attributes, "prefer-standby") == 0;
  for (size_t i = 0; good && i < n; i++) {
    struct postgres_candidate one = {0};
    good = list_item(&one.host, hosts, i) && list_item(&one.address, addresses, i) &&
           list_item(&one.port, ports, i) && add_candidate(connection, &one, one.address);
    free(one.host);
    free(one.address);
    free(one.port);
  }
  return good ? CONVSTORE_OK : convstore__postgres_no_memory(err);
}

static int plan(struct postgres_connection *connection, convstore_error *err) {
  PQconninfoOption *options = NULL;
  int status;
  PGconn *asked = probe(connection);
  if (asked == NULL) return convstore__postgres_no_memory(err);
  if (strstr(PQerrorMessage(asked), "channel_binding") == NULL) {
    convstore__postgres_set_reason(
        connection, PQerrorMessage(asked)); /* a parameter that is wrong, or a service that is not there */
    status = convstore_fail(err, CONVSTORE_E_INVALID, "the DSN cannot be used: %s", connection->lost_reason);
  } else {
    options = PQconninfo(asked);
    status = options == NULL ? convstore__postgres_no_memory(err) : read_hosts(connection, options, err);
  }
  PQconninfoFree(options);
  PQfinish(asked);
  return status != CONVSTORE_OK ? status : start_lookup(connection, err);
}

/* Puts the addresses in place of the names. A name without any is left out. */
static int use_lookup(struct postgres_connection *connection, convstore_error *err) {
  struct postgres_candidate *named = connection->candidates;
  size_t n = connection->n_candidates;
  bool good = true;
  connection->candidates = NULL;
  connection->n_candidates = 0;
  for (size_t i = 0; named != NULL && i < n; i++) {
    if (!needs_lookup(&named[i])) {
      good = good && add_candidate(connection, &named[i], named[i].address);
    } else {
      const char *address;
      for (size_t k = 0; (address = convstore__postgres_lookup_address(connection->lookup, i, k)) != NULL;
           k++)
        good = good && add_candidate(connection, &named[i], address);
      if (convstore__postgres_lookup_address(connection->lookup, i, 0) == NULL)
        (void)snprintf(connection->lost_reason, sizeof connection->lost_reason,
                       "host \"%.100s\" is not known: %s", named[i].host,
                       convstore__postgres_lookup_reason(connection->lookup, i));
    }
    free(named[i].host);
    free(named[i].address);
    free(named[i].port);
  }
  free(named);
  convstore__postgres_lookup_release(connection->lookup);
  connection->lookup = NULL;
  return good ? CONVSTORE_OK : convstore__postgres_no_memory(err);
}

void convstore__postgres_note_lookup_late(struct postgres_connection *connection) {
  for (size_t i = 0; i < connection->n_candidates; i++)
    if (needs_lookup(&connection->candidates[i])) {
      (void)snprintf(connection->lost_reason, sizeof connection->lost_reason,
                     "host \"%.100s\" was not looked up in time", connection->candidates[i].host);
      return;
    }
}

/* ---- one candidate --------------------------------------------------------------------------------------------- */

/* Where nobody listens it goes nowhere: libpq would write it to standard error. */
static void take_notice(void *context, const PGresult *notice) {
  const struct postgres_connection *connection = context;
  const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char *words =
      PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY); /* details may quote stored values */
  const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  /* "There is no transaction in progress": a round is undone whose BEGIN was what failed. */
  if (sqlstate != NULL && strcmp(sqlstate, "25P01") == 0) return;
  convstore_event *event =
      convstore__event(connection->base.events, CONVSTORE_EVENT_NOTICE, "%s: %s",
                       severity != NULL ? severity : "NOTICE", words != NULL ? words : "no words");
  if (event != NULL && sqlstate != NULL)
    (void)snprintf(event->sqlstate, sizeof event->sqlstate, "%s", sqlstate);
}

void convstore__postgres_note_lost(struct postgres_connection *connection, int status,
                                   const PGresult *error) {
  const char *sqlstate = error != NULL ? PQresultErrorField(error, PG_DIAG_SQLSTATE) : NULL;
  convstore_event *event =
      convstore__event(connection->base.events, CONVSTORE_EVENT_LOST,
                       "the connection to PostgreSQL was lost: %s", connection->lost_reason);
  if (event == NULL) return;
  event->status = status;
  if (sqlstate != NULL) (void)snprintf(event->sqlstate, sizeof event->sqlstate, "%s", sqlstate);
}

/* The usual first connection is nothing to tell of. */
static void note_connected(struct postgres_connection *connection) {
  bool usual = !connection->was_connected && connection->n_tries == 1;
  const char *reason = connection->lost_reason;
  connection->was_connected = true;
  if (usual) return;
  convstore_event *event =
      convstore__event(connection->base.events, CONVSTORE_EVENT_RECONNECT,
                       "connected to PostgreSQL again%s%s", reason[0] != '\0' ? ", after: " : "", reason);
  if (event == NULL) return;
  event->attempt = connection->n_tries;
  event->elapsed_ms = convstore__monotonic_ms() - connection->tries_began_ms;
}

static size_t n_tries(const struct postgres_connection *connection) {
  return connection->n_candidates * (connection->standby_first ? 2 : 1);
}

static int start_candidate(struct postgres_connection *connection, const struct convstore_call *call) {
  assert(connection->candidates != NULL);
  size_t tries_left = n_tries(connection) - connection->candidate;
  const struct postgres_candidate *one =
      &connection->candidates[connection->candidate % connection->n_candidates];
  bool wants_standby = connection->standby_first && connection->candidate < connection->n_candidates;
  const char *keywords[10] = {"dbname", "client_encoding", "fallback_application_name"};
  const char *values[10] = {connection->dsn, "UTF8", "convstore"};
  int n = 3;
  if (one->host != NULL) {
    keywords[n] = "host";
    values[n++] = one->host;
  }
  if (one->address != NULL) {
    keywords[n] = "hostaddr";
    values[n++] = one->address;
  }
  if (one->port != NULL) {
    keywords[n] = "port";
    values[n++] = one->port;
  }
  if (connection->standby_first) {
    keywords[n] = "target_session_attrs";
    values[n++] = wants_standby ? "standby" : "any";
  }
  keywords[n] = NULL;
  values[n] = NULL;

  int64_t now = convstore__monotonic_ms();
  int64_t time = connection->connect_timeout_ms;
  if (time == 0 || time > call->deadline_ms - now) time = (call->deadline_ms - now) / (int64_t)tries_left;
  connection->candidate_until_ms = now + time;
  connection->db = PQconnectStartParams(keywords, values, 1);
  if (connection->db == NULL) return convstore__postgres_no_memory(call->err);
  (void)PQsetErrorVerbosity(connection->db,
                            PQERRORS_VERBOSE); /* or there is no telling why a connection failed */
  (void)PQsetNoticeReceiver(connection->db, take_notice, connection);
  connection->polling =
      PQstatus(connection->db) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  return CONVSTORE_OK;
}

/* Takes libpq's words apart: the SQLSTATE that a server gave, or "", and what follows it. */
static const char *read_failure(char sqlstate[6], const char *message) {
  const char *reason = message;
  sqlstate[0] = '\0';
  for (const char *at = message; (at = strstr(at, ":  ")) != NULL; at++) {
    if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 || strncmp(at + 8, ": ", 2) != 0)
      continue;
    memcpy(sqlstate, at + 3, 5);
    sqlstate[5] = '\0';
    reason = at + 10;
  }
  return reason;
}

/* Why this candidate came to nothing: a status that no waiting changes, or POSTGRES_LOST. */
static int judge_failure(struct postgres_connection *connection, convstore_error *err) {
  char sqlstate[6];
  const char *message = PQerrorMessage(connection->db);
  const char *reason = read_failure(sqlstate, message);
  char line[200];
  (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(reason, "\n"), reason);
  convstore__postgres_set_reason(connection, sqlstate[0] != '\0' ? line : message);
  /* What libpq refuses before it tries any host names no host. */
  if (sqlstate[0] == '\0' && PQsocket(connection->db) < 0 &&
      strstr(message, "connection to server") == NULL && strncmp(message, "invalid ", 8) == 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "the DSN cannot be used: %s", connection->lost_reason);
  return convstore__postgres_fail_connect(connection, sqlstate, connection->lost_reason, err);
}

static bool is_ready(const struct postgres_connection *connection) {
  short events = connection->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  struct pollfd fd = {.fd = PQsocket(connection->db), .events = events};
  return poll(&fd, 1, 0) > 0;
}

static int finish_connecting(struct postgres_connection *connection, convstore_error *err) {
  PGconn *db = connection->db;
  int version = PQserverVersion(db);
  if (version < OLDEST_SERVER)
    return convstore_fail(err, CONVSTORE_E_UNSUPPORTED,
                          "PostgreSQL %d is too old; convstore needs 13 or newer", version / 10000);
  if (PQclientEncoding(db) != UTF8)
    return convstore_fail(err, CONVSTORE_E_UNSUPPORTED,
                          "the server or pooler does not keep client_encoding = UTF8; let it do so");
  if (PQsetnonblocking(db, 1) != 0 || PQenterPipelineMode(db) != 1) return convstore__postgres_no_memory(err);
  convstore__postgres_forget_prepared(connection);
  note_connected(connection);
  connection->n_tries = 0;
  return CONVSTORE_OK;
}

/* Goes on with the current candidate. POSTGRES_LOST: it came to nothing. */
static int step_candidate(struct postgres_connection *connection, struct convstore_call *call) {
  for (;;) {
    if (connection->polling == PGRES_POLLING_OK) return finish_connecting(connection, call->err);
    if (connection->polling == PGRES_POLLING_FAILED) return judge_failure(connection, call->err);
    if (!is_ready(connection)) {
      if (convstore__monotonic_ms() >= connection->candidate_until_ms) {
        convstore__postgres_set_reason(connection, "the server did not answer in time");
        return POSTGRES_LOST;
      }
      call->want.fd = PQsocket(connection->db);
      call->want.events = connection->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
      call->want.until_ms = connection->candidate_until_ms;
      return CONVSTORE_PENDING;
    }
    connection->polling = PQconnectPoll(connection->db);
  }
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static void drop_db(struct postgres_connection *connection) {
  PQfinish(connection->db);
  connection->db = NULL;
}

void convstore__postgres_drop(struct postgres_connection *connection) {
  drop_db(connection);
  forget_candidates(connection);
  convstore__postgres_lookup_release(connection->lookup);
  connection->lookup = NULL;
  connection->begun = false;
  connection->open = false;
}

bool convstore__postgres_is_connected(struct postgres_connection *connection) {
  if (connection->db == NULL) return false;
  /* Between calls nothing is on its way but the news that the server has gone. */
  if (PQconsumeInput(connection->db) == 1 && PQstatus(connection->db) == CONNECTION_OK) return true;
  convstore__postgres_set_reason(connection, PQerrorMessage(connection->db));
  convstore__postgres_note_lost(connection, CONVSTORE_E_UNAVAILABLE, NULL);
  convstore__postgres_drop(connection);
  return false;
}

void convstore__postgres_connect_start(struct postgres_connection *connection) {
  convstore__postgres_drop(connection);
  if (connection->n_tries == 0) connection->tries_began_ms = convstore__monotonic_ms();
  connection->n_tries++;
  connection->candidate = 0;
  connection->phase = POSTGRES_RESOLVING;
}

int convstore__postgres_connect(struct postgres_connection *connection, struct convstore_call *call) {
  int status = CONVSTORE_OK;
  if (connection->phase == POSTGRES_RESOLVING) {
    if (connection->candidates == NULL) status = plan(connection, call->err);
    if (status != CONVSTORE_OK) return status;
    if (connection->lookup != NULL) {
      if (!convstore__postgres_lookup_done(connection->lookup)) {
        call->want.fd = convstore__postgres_lookup_fd(connection->lookup);
        call->want.events = POLLIN;
        call->want.until_ms = call->deadline_ms;
        return CONVSTORE_PENDING;
      }
      status = use_lookup(connection, call->err);
      if (status != CONVSTORE_OK) return status;
    }
    connection->phase = POSTGRES_CONNECTING;
  }
  while (connection->candidate < n_tries(connection)) {
    if (connection->db == NULL) status = start_candidate(connection, call);
    if (status == CONVSTORE_OK) status = step_candidate(connection, call);
    if (status != POSTGRES_LOST) {
      if (status == CONVSTORE_OK) forget_candidates(connection);
      return status;
    }
    drop_db(connection);
    connection->candidate++;
    status = CONVSTORE_OK;
  }
  return POSTGRES_LOST;
}
