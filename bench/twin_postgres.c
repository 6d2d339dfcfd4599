/*
 * The twin on PostgreSQL: what a C programmer would write by hand for one bot's own conversation, as the measure for
 * convstore.
 *
 * It runs the statements of the PostgreSQL backend, from the same table, under the same role, and gets its ids from
 * the same generator; parameters and results are binary as convstore's. It does without the rest: no checks, no
 * deadline, no retries, no stored message coming back from an append. Three forms: "pipeline" sends a transaction in
 * one round trip, as convstore does; "trips" the same in four; "copy" loads by COPY, as the login itself.
 */
#include "twin_postgres.h"

#include <string.h>
#include <time.h>

int luaopen_twin_postgres(lua_State *L);

/* Statements are prepared under the names of the table; COPY needs one more. */
static const char advance_name[] = "advance";
static const char advance_sql[] =
    "UPDATE {{schema}}.conversations SET last_seq = last_seq + CAST($3 AS bigint), token_count = token_count +"
    " CAST($4 AS bigint), updated_at = CAST($5 AS timestamptz) WHERE user_id = $1 AND id = CAST($2 AS uuid)"
    " RETURNING last_seq, token_count - pinned_token_count";
static const char copy_sql[] =
    "COPY {{schema}}.messages (user_id, conversation_id, seq, id, role, content, token_count, created_at,"
    " token_total) FROM STDIN (FORMAT binary)";
enum {
  COPY_COLUMNS = 9
};
static const char begin_sql[] = "BEGIN ISOLATION LEVEL READ COMMITTED";

static int fail(lua_State *L, const struct twin *twin) {
  return luaL_error(L, "twin_postgres: %s", PQerrorMessage(twin->db));
}

static int64_t wall_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- connections ----------------------------------------------------------------------------------------------- */

static const char *render(lua_State *L, struct twin *twin, const char *sql, const char *schema) {
  const struct convstore_substitution list[] = {{"schema", schema},
                                                {"user_id_type", "text"},
                                                {"claim", ""},
                                                {"role", ", set_config('role', $5, true)"},
                                                {NULL, NULL}};
  struct convstore_arena *arena = convstore__arena(&twin->memory);
  const char *text = arena == NULL ? NULL : convstore__render(arena, sql, list);
  if (text == NULL) (void)luaL_error(L, "not enough memory");
  return text;
}

/* Keeps the result until the next one, and sees to it that it is what was to come. */
static void keep(lua_State *L, struct twin *twin, PGresult *result, ExecStatusType wanted) {
  PQclear(twin->result);
  twin->result = result;
  if (PQresultStatus(result) != wanted) (void)fail(L, twin);
}

/* Integers are sent as such also where the statement casts them to something else: then the server must know. */
static void prepare(lua_State *L, struct twin *twin, const char *name, const char *sql, bool all_integers) {
  static const Oid integers[] = {0,
                                 0,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8,
                                 POSTGRES_INT8};
  int n = all_integers ? (int)(sizeof integers / sizeof *integers) : 0;
  keep(L, twin, PQprepare(twin->db, name, sql, n, integers), PGRES_COMMAND_OK);
}

/* twin_postgres.open(dsn, schema, user_id, conversation_id, "pipeline", "trips" or "copy" [, without_search]): the
 * schema quoted; without_search: it is from before there were searches */
static int twin_open(lua_State *L) {
  static const int used[] = {POSTGRES_STMT_BEGIN,
                             POSTGRES_STMT_COMMIT,
                             POSTGRES_STMT_SETTINGS,
                             POSTGRES_STMT_APPEND_MESSAGE,
                             POSTGRES_STMT_CONTEXT,
                             POSTGRES_STMT_LIST + CONVSTORE_DELETED_NO,
                             POSTGRES_STMT_HISTORY + POSTGRES_STMT_DESCENDING};
  const char *dsn = luaL_checkstring(L, 1);
  const char *schema = luaL_checkstring(L, 2);
  const char *form = luaL_checkstring(L, 5);
  bool without_search = lua_toboolean(L, 6);
  struct twin *twin = lua_newuserdatauv(L, sizeof *twin, 2);
  memset(twin, 0, sizeof *twin);
  luaL_setmetatable(L, TWIN);
  twin->user_id.data = luaL_checklstring(L, 3, &twin->user_id.size);
  twin->conversation_id = luaL_checkstring(L, 4);
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(L, 2 + i);
    lua_setiuservalue(L, -2, i);
  }
  twin->db = PQconnectdb(dsn);
  if (PQstatus(twin->db) != CONNECTION_OK) return fail(L, twin);
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
    const struct postgres_stmt_text *statement = &convstore__postgres_stmt_texts[used[i]];
    const char *sql = render(L, twin, statement->sql, schema);
    if (without_search) sql = luaL_gsub(L, sql, ", search_pending = true", "");
    prepare(L, twin, statement->name, sql, used[i] == POSTGRES_STMT_CONTEXT);
    if (without_search) lua_pop(L, 1);
  }
  prepare(L, twin, advance_name, render(L, twin, advance_sql, schema), false);
  twin->copy = render(L, twin, copy_sql, schema);
  twin->pipelined = strcmp(form, "pipeline") == 0;
  if (twin->pipelined && PQenterPipelineMode(twin->db) != 1) return fail(L, twin);
  return 1;
}

static int twin_close(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  PQclear(twin->result);
  PQfinish(twin->db);
  convstore_result_free(&twin->memory);
  memset(twin, 0, sizeof *twin);
  return 0;
}

/* ---- a transaction --------------------------------------------------------------------------------------------- */

static void add_settings(struct postgres_params *params, const struct twin *twin) {
  convstore__postgres_add_text(params, twin->user_id);
  convstore__postgres_add_string(params, "9800");
  convstore__postgres_add_string(params, "9900");
  convstore__postgres_add_string(params, "on");
  convstore__postgres_add_string(params, "convstore_user");
}

void twin__add_conversation(struct postgres_params *params, const struct twin *twin) {
  convstore__postgres_add_text(params, twin->user_id);
  convstore__postgres_add_id(params, twin->conversation_id);
}

static bool send_prepared(const struct twin *twin, const char *name, const struct postgres_params *params) {
  return PQsendQueryPrepared(twin->db, name, params->n, params->values, params->lengths, params->formats,
                             1) == 1;
}

static PGresult *run_prepared(const struct twin *twin, const char *name,
                              const struct postgres_params *params) {
  return PQexecPrepared(twin->db, name, params->n, params->values, params->lengths, params->formats, 1);
}

/* The next result of a pipeline; a NULL stands behind each but the last. */
static PGresult *take(lua_State *L, const struct twin *twin, ExecStatusType wanted) {
  PGresult *result = PQgetResult(twin->db);
  if (PQresultStatus(result) != wanted) (void)fail(L, twin);
  if (wanted != PGRES_PIPELINE_SYNC && PQgetResult(twin->db) != NULL) (void)fail(L, twin);
  return result;
}

void twin__run(lua_State *L, struct twin *twin, int id, const struct postgres_params *params) {
  const char *name = convstore__postgres_stmt_texts[id].name;
  const char *settings_name = convstore__postgres_stmt_texts[POSTGRES_STMT_SETTINGS].name;
  struct postgres_params settings = {0};
  add_settings(&settings, twin);
  if (!twin->pipelined) {
    keep(L, twin, PQexec(twin->db, begin_sql), PGRES_COMMAND_OK);
    keep(L, twin, run_prepared(twin, settings_name, &settings), PGRES_TUPLES_OK);
    keep(L, twin, run_prepared(twin, name, params), PGRES_TUPLES_OK);
    PGresult *committed = PQexec(twin->db, "COMMIT");
    bool good = PQresultStatus(committed) == PGRES_COMMAND_OK;
    PQclear(committed);
    if (!good) (void)fail(L, twin);
    return;
  }
  const struct postgres_params none = {0};
  if (!send_prepared(twin, convstore__postgres_stmt_texts[POSTGRES_STMT_BEGIN].name, &none) ||
      !send_prepared(twin, settings_name, &settings) || !send_prepared(twin, name, params) ||
      !send_prepared(twin, convstore__postgres_stmt_texts[POSTGRES_STMT_COMMIT].name, &none) ||
      PQpipelineSync(twin->db) != 1)
    (void)fail(L, twin);
  PQclear(take(L, twin, PGRES_COMMAND_OK));
  PQclear(take(L, twin, PGRES_TUPLES_OK));
  keep(L, twin, take(L, twin, PGRES_TUPLES_OK), PGRES_TUPLES_OK);
  PQclear(take(L, twin, PGRES_COMMAND_OK));
  PQclear(take(L, twin, PGRES_PIPELINE_SYNC));
}

/* ---- appending ------------------------------------------------------------------------------------------------- */

static int64_t tokens_of(size_t size) {
  return (int64_t)(size + 3) / 4;
}

static const char *role_of(lua_Integer i) {
  return i % 2 == 1 ? "user" : "assistant";
}

/* twin:append(texts): each in a transaction of its own; every other one is an answer */
static int twin_append(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer n = luaL_len(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    struct postgres_params params = {0};
    char id[CONVSTORE_ID_SIZE];
    convstore_text text;
    int64_t now_ms = wall_ms();
    (void)lua_rawgeti(L, 2, i);
    text.data = lua_tolstring(L, -1, &text.size);
    (void)convstore_uuid(id, NULL);
    twin__add_conversation(&params, twin);
    convstore__postgres_add_integer(&params, 1);
    convstore__postgres_add_integer(&params, tokens_of(text.size));
    convstore__postgres_add_integer(&params, 0);
    convstore__postgres_add_time(&params, now_ms);
    convstore__postgres_add_integer(&params, CONVSTORE_ABSENT); /* expect */
    convstore__postgres_add_id(&params, id);
    convstore__postgres_add_string(&params, role_of(i));
    convstore__postgres_add_text(&params, text);
    for (int absent = 0; absent < 6; absent++)
      convstore__postgres_add_string(&params, NULL); /* parts ... metadata */
    convstore__postgres_add_integer(&params, tokens_of(text.size));
    convstore__postgres_add_time(&params, now_ms);
    twin__run(L, twin, POSTGRES_STMT_APPEND_MESSAGE, &params);
    if (PQntuples(twin->result) != 1) return luaL_error(L, "twin_postgres: nothing was appended");
    lua_pop(L, 1);
  }
  return 0;
}

static void put(luaL_Buffer *buffer, uint64_t value, int n) {
  for (int shift = 8 * (n - 1); shift >= 0; shift -= 8) luaL_addchar(buffer, (char)(value >> shift));
}

static void put_field(luaL_Buffer *buffer, const char *data, size_t size) {
  put(buffer, size, 4);
  luaL_addlstring(buffer, data, size);
}

static void put_number(luaL_Buffer *buffer, int64_t value, int n) {
  put(buffer, (uint64_t)n, 4);
  put(buffer, (uint64_t)value, n);
}

static void put_id(luaL_Buffer *buffer, const char *id) {
  put(buffer, 16, 4);
  for (int high = -1; *id != '\0'; id++) {
    if (*id == '-') continue;
    int digit = *id <= '9' ? *id - '0' : *id - 'a' + 10;
    if (high >= 0) luaL_addchar(buffer, (char)(high << 4 | digit));
    high = high >= 0 ? -1 : digit;
  }
}

/* What COPY takes: a header, the rows, an end. `seq` and `total` are those before the first. */
static void push_rows(lua_State *L, const struct twin *twin, int64_t seq, int64_t total, int64_t now_ms) {
  static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
  const int64_t epoch_ms = INT64_C(946684800000); /* PostgreSQL's 2000-01-01 */
  lua_Integer n = luaL_len(L, 2);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addlstring(&buffer, header, sizeof header);
  for (lua_Integer i = 1; i <= n; i++) {
    char id[CONVSTORE_ID_SIZE];
    (void)convstore_uuid(id, NULL);
    (void)lua_rawgeti(L, 2, i);
    size_t size = lua_rawlen(L, -1);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps it; the buffer wants its place on the stack */
    put(&buffer, COPY_COLUMNS, 2);
    put_field(&buffer, twin->user_id.data, twin->user_id.size);
    put_id(&buffer, twin->conversation_id);
    put_number(&buffer, ++seq, 8);
    put_id(&buffer, id);
    put_field(&buffer, role_of(i), strlen(role_of(i)));
    put_field(&buffer, text, size);
    put_number(&buffer, tokens_of(size), 4);
    put_number(&buffer, (now_ms - epoch_ms) * 1000, 8);
    total += tokens_of(size);
    put_number(&buffer, total, 8);
  }
  put(&buffer, 0xFFFF, 2);
  luaL_pushresult(&buffer);
}

/* twin:copy(texts): all in one transaction */
static int twin_copy(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  struct postgres_params params = {0};
  int64_t now_ms = wall_ms();
  int64_t tokens = 0;
  lua_Integer n = luaL_len(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    (void)lua_rawgeti(L, 2, i);
    tokens += tokens_of(lua_rawlen(L, -1));
    lua_pop(L, 1);
  }
  twin__add_conversation(&params, twin);
  convstore__postgres_add_integer(&params, n);
  convstore__postgres_add_integer(&params, tokens);
  convstore__postgres_add_time(&params, now_ms);
  keep(L, twin, PQexec(twin->db, begin_sql), PGRES_COMMAND_OK);
  keep(L, twin, run_prepared(twin, advance_name, &params), PGRES_TUPLES_OK);
  if (PQntuples(twin->result) != 1) return luaL_error(L, "twin_postgres: no such conversation");
  push_rows(L, twin, convstore__postgres_read_integer(twin->result, 0, 0) - n,
            convstore__postgres_read_integer(twin->result, 0, 1) - tokens, now_ms);
  keep(L, twin, PQexec(twin->db, twin->copy), PGRES_COPY_IN);
  if (PQputCopyData(twin->db, lua_tostring(L, -1), (int)lua_rawlen(L, -1)) != 1 ||
      PQputCopyEnd(twin->db, NULL) != 1)
    return fail(L, twin);
  keep(L, twin, PQgetResult(twin->db), PGRES_COMMAND_OK);
  PQclear(PQgetResult(twin->db));
  keep(L, twin, PQexec(twin->db, "COMMIT"), PGRES_COMMAND_OK);
  return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* What all messages of a call share lies on the stack, from these indexes on: a key that is at hand is set faster by
 * lua_rawset than a C string by lua_setfield. */
enum stack_index {
  CONVERSATION_ID = 3,
  KEY_SEQ,
  KEY_ID,
  KEY_CONVERSATION_ID,
  KEY_ROLE,
  KEY_CONTENT,
  KEY_TOKEN_COUNT,
  KEY_CREATED_AT,
  MESSAGES
};

static void set_text(lua_State *L, const PGresult *rows, int row, int column, int key) {
  lua_pushvalue(L, key);
  (void)lua_pushlstring(L, PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column));
  lua_rawset(L, -3);
}

static void set_integer(lua_State *L, int64_t value, int key) {
  lua_pushvalue(L, key);
  lua_pushinteger(L, value);
  lua_rawset(L, -3);
}

static int64_t read_number(const PGresult *rows, int row, int column, int n) {
  const unsigned char *bytes = (const unsigned char *)PQgetvalue(rows, row, column);
  uint64_t value = 0;
  for (int i = 0; i < n; i++) value = value << 8 | bytes[i];
  return (int64_t)value;
}

static void set_id(lua_State *L, const PGresult *rows, int row) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *bytes = (const unsigned char *)PQgetvalue(rows, row, 1);
  char id[CONVSTORE_ID_SIZE - 1];
  char *to = id;
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = digits[bytes[i] >> 4];
    *to++ = digits[bytes[i] & 15];
  }
  lua_pushvalue(L, KEY_ID);
  (void)lua_pushlstring(L, id, sizeof id);
  lua_rawset(L, -3);
}

/* The columns that few messages have: looked at, as they must be, though the benchmark's messages have none. */
static void set_rare(lua_State *L, const PGresult *rows, int row) {
  static const struct {
    int column;
    const char *name;
  } rare[] = {{4, "content"},     {5, "name"},     {6, "tool_calls"},  {7, "tool_call_id"},
              {8, "attachments"}, {9, "metadata"}, {12, "updated_at"}, {13, "redacted_at"}};
  for (size_t i = 0; i < sizeof rare / sizeof *rare; i++) {
    if (PQgetisnull(rows, row, rare[i].column)) continue;
    (void)lua_pushstring(L, PQgetvalue(rows, row, rare[i].column));
    lua_setfield(L, -2, rare[i].name);
  }
}

/* Pushes a row of MESSAGE_COLUMNS as a message, like convstore's. */
static void push_message(lua_State *L, const PGresult *rows, int row) {
  const int64_t epoch_ms = INT64_C(946684800000);
  lua_createtable(L, 0, 7);
  set_integer(L, read_number(rows, row, 0, 8), KEY_SEQ);
  set_id(L, rows, row);
  lua_pushvalue(L, KEY_CONVERSATION_ID);
  lua_pushvalue(L, CONVERSATION_ID);
  lua_rawset(L, -3);
  set_text(L, rows, row, 2, KEY_ROLE);
  if (!PQgetisnull(rows, row, 3)) set_text(L, rows, row, 3, KEY_CONTENT);
  set_integer(L, read_number(rows, row, 10, 4), KEY_TOKEN_COUNT);
  set_integer(L, read_number(rows, row, 11, 8) / 1000 + epoch_ms, KEY_CREATED_AT);
  set_rare(L, rows, row);
}

/* twin:newest(limit): the last messages, oldest first; the conversation must have that many */
static int twin_newest(lua_State *L) {
  static const char *const keys[] = {"seq",     "id",          "conversation_id", "role",
                                     "content", "token_count", "created_at"};
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer n = luaL_checkinteger(L, 2);
  struct postgres_params params = {0};
  lua_settop(L, 2);
  (void)lua_getiuservalue(L, 1, 2);
  for (size_t key = 0; key < sizeof keys / sizeof *keys; key++) (void)lua_pushstring(L, keys[key]);
  lua_createtable(L, (int)n, 0);
  twin__add_conversation(&params, twin);
  convstore__postgres_add_integer(&params, 0);         /* after */
  convstore__postgres_add_integer(&params, INT64_MAX); /* before */
  convstore__postgres_add_integer(&params, n);
  convstore__postgres_add_string(&params, NULL); /* roles */
  twin__run(L, twin, POSTGRES_STMT_HISTORY + POSTGRES_STMT_DESCENDING, &params);
  if (PQntuples(twin->result) != n)
    return luaL_error(L, "twin_postgres: the conversation is shorter than that");
  for (int row = 0; row < n; row++) {
    push_message(L, twin->result, row);
    lua_rawseti(L, MESSAGES, n - row);
  }
  return 1;
}

/* twin:ping(n): n round trips for nothing */
static int twin_ping(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  for (lua_Integer n = luaL_checkinteger(L, 2); n > 0; n--) {
    if (PQpipelineSync(twin->db) != 1) return fail(L, twin);
    PQclear(take(L, twin, PGRES_PIPELINE_SYNC));
  }
  return 0;
}

/* twin:server_version() */
static int twin_server_version(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_pushstring(L, PQparameterStatus(twin->db, "server_version"));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_twin_postgres(lua_State *L) {
  static const luaL_Reg methods[] = {{"append", twin_append},
                                     {"copy", twin_copy},
                                     {"newest", twin_newest},
                                     {"context", twin__context},
                                     {"list", twin__list},
                                     {"ping", twin_ping},
                                     {"server_version", twin_server_version},
                                     {"close", twin_close},
                                     {"__gc", twin_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", twin_open}, {NULL, NULL}};
  (void)luaL_newmetatable(L, TWIN);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  lua_pushinteger(L, PQlibVersion());
  lua_setfield(L, -2, "libpq_version");
  return 1;
}
