/*
 * The twin: what a C programmer would write by hand for one bot's own file, as the measure for convstore.
 *
 * It runs the statements of the SQLite backend, from the same table, with the same pragmas on a copy of the same
 * file, and gets its ids from the same generator. It does without the rest: no checks, no arguments but the text,
 * no stored message coming back from an append, user and conversation bound once. Its histories go from
 * sqlite3_step straight into Lua tables, nothing in between. Lua sees it as a module, so that both sides are timed
 * by one clock in one process.
 */
#include "twin.h"

#include <string.h>
#include <time.h>

#include "../csrc/convstore.h"
#include "../csrc/sqlite/sqlite_statements.h"

int luaopen_twin(lua_State *L);

int twin__fail(lua_State *L, const struct twin *twin) {
  return luaL_error(L, "twin: %s", sqlite3_errmsg(twin->db));
}

static int64_t wall_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Steps a statement to its end, and resets it. */
static void run(lua_State *L, const struct twin *twin, sqlite3_stmt *statement) {
  int code;
  do code = sqlite3_step(statement);
  while (code == SQLITE_ROW);
  if (sqlite3_reset(statement) != SQLITE_OK) (void)twin__fail(L, twin);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text, size_t size) {
  (void)sqlite3_bind_text64(statement, index, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

static sqlite3_stmt *prepare_text(lua_State *L, const struct twin *twin, const char *sql) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v3(twin->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
    (void)twin__fail(L, twin);
  if (sqlite3_bind_parameter_count(statement) >= 2) { /* user and conversation, the same for good */
    bind_text(statement, 1, lua_tostring(L, 2), lua_rawlen(L, 2));
    bind_text(statement, 2, lua_tostring(L, 3), lua_rawlen(L, 3));
  }
  return statement;
}

static sqlite3_stmt *prepare(lua_State *L, const struct twin *twin, int id) {
  return prepare_text(L, twin, convstore__sqlite_stmt_texts[id].sql);
}

/* What an append does for searches, left out where the file's schema is from before them. */
static void prepare_live(lua_State *L, struct twin *twin) {
  const char *sql = convstore__sqlite_stmt_texts[SQLITE_STMT_LIVE_CONVERSATION].sql;
  twin->searchable =
      sqlite3_table_column_metadata(twin->db, NULL, "convstore_conversations", "search_pending", NULL, NULL,
                                    NULL, NULL, NULL) == SQLITE_OK;
  if (twin->searchable) {
    twin->live = prepare_text(L, twin, sql);
    twin->mark_pending = prepare(L, twin, SQLITE_STMT_MARK_SEARCH_PENDING);
  } else {
    twin->live = prepare_text(L, twin, luaL_gsub(L, sql, ", search_pending", ""));
    lua_pop(L, 1);
  }
}

/* twin.open(path, user_id, conversation_id, "full" or "normal" [, sql]); sql is run first */
static int twin_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  luaL_checkstring(L, 3);
  bool full = strcmp(luaL_checkstring(L, 4), "full") == 0;
  const char *sql = luaL_optstring(L, 5, "");
  struct twin *twin = lua_newuserdatauv(L, sizeof *twin, 2);
  memset(twin, 0, sizeof *twin);
  luaL_setmetatable(L, TWIN);
  lua_pushvalue(L, 2); /* keeps the bound strings alive */
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 2);
  if (sqlite3_open_v2(path, &twin->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                      NULL) != SQLITE_OK ||
      sqlite3_exec(twin->db, "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;", NULL, NULL, NULL) !=
          SQLITE_OK ||
      sqlite3_exec(twin->db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL, NULL,
                   NULL) != SQLITE_OK ||
      sqlite3_exec(twin->db, sql, NULL, NULL, NULL) != SQLITE_OK)
    return twin__fail(L, twin);
  twin->begin = prepare(L, twin, SQLITE_STMT_BEGIN);
  twin->commit = prepare(L, twin, SQLITE_STMT_COMMIT);
  prepare_live(L, twin);
  twin->advance = prepare(L, twin, SQLITE_STMT_ADVANCE_CONVERSATION);
  twin->insert = prepare(L, twin, SQLITE_STMT_INSERT_MESSAGE);
  twin->newest = prepare(L, twin, SQLITE_STMT_HISTORY + SQLITE_STMT_DESCENDING);
  twin->summary = prepare(L, twin, SQLITE_STMT_LATEST_SUMMARY);
  twin->pinned = prepare(L, twin, SQLITE_STMT_PINNED);
  twin->window = prepare(L, twin, SQLITE_STMT_WINDOW);
  twin->list = prepare(L, twin, SQLITE_STMT_LIST + CONVSTORE_DELETED_NO);
  return 1;
}

static int twin_close(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  sqlite3_stmt *statements[] = {twin->begin,        twin->commit, twin->live,   twin->advance,
                                twin->mark_pending, twin->insert, twin->newest, twin->summary,
                                twin->pinned,       twin->window, twin->list};
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) (void)sqlite3_finalize(statements[i]);
  (void)sqlite3_close(twin->db);
  memset(twin, 0, sizeof *twin);
  return 0;
}

/* Appends texts[first] ... texts[last] in one transaction; every other one is an answer. */
static void append(lua_State *L, const struct twin *twin, lua_Integer first, lua_Integer last) {
  lua_Integer n = last - first + 1;
  int64_t now_ms = wall_ms();
  int64_t tokens = 0;
  for (lua_Integer i = first; i <= last; i++) {
    (void)lua_rawgeti(L, 2, i);
    tokens += (int64_t)(lua_rawlen(L, -1) + 3) / 4;
    lua_pop(L, 1);
  }
  run(L, twin, twin->begin);
  if (sqlite3_step(twin->live) != SQLITE_ROW) (void)twin__fail(L, twin);
  int64_t seq = sqlite3_column_int64(twin->live, 0);
  int64_t token_count = sqlite3_column_int64(twin->live, 1);
  int64_t pinned = sqlite3_column_int64(twin->live, 2);
  int64_t total = token_count - pinned;
  bool mark = twin->searchable && sqlite3_column_int(twin->live, 6) == 0;
  (void)sqlite3_reset(twin->live);
  (void)sqlite3_bind_int64(twin->advance, 3, seq + n);
  (void)sqlite3_bind_int64(twin->advance, 4, token_count + tokens);
  (void)sqlite3_bind_int64(twin->advance, 5, pinned);
  (void)sqlite3_bind_int64(twin->advance, 6, now_ms);
  bind_text(twin->advance, 7, "active", 6);
  run(L, twin, twin->advance);
  if (mark) run(L, twin, twin->mark_pending);

  (void)sqlite3_bind_int64(twin->insert, 14, now_ms);
  for (lua_Integer i = first; i <= last; i++) {
    char id[CONVSTORE_ID_SIZE];
    size_t size;
    (void)lua_rawgeti(L, 2, i);
    const char *text = lua_tolstring(L, -1, &size);
    int64_t count = (int64_t)(size + 3) / 4;
    total += count;
    (void)convstore_uuid(id, NULL);
    (void)sqlite3_bind_int64(twin->insert, 3, ++seq);
    bind_text(twin->insert, 4, id, CONVSTORE_ID_SIZE - 1);
    if (i % 2 == 1)
      bind_text(twin->insert, 5, "user", 4);
    else
      bind_text(twin->insert, 5, "assistant", 9);
    bind_text(twin->insert, 6, text, size);
    (void)sqlite3_bind_int64(twin->insert, 13, count);
    (void)sqlite3_bind_int64(twin->insert, 15, total);
    run(L, twin, twin->insert);
    lua_pop(L, 1);
  }
  run(L, twin, twin->commit);
}

/* twin:append(texts): each in a transaction of its own */
static int twin_append(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer n = luaL_len(L, 2);
  for (lua_Integer i = 1; i <= n; i++) append(L, twin, i, i);
  return 0;
}

/* twin:append_many(texts): all in one */
static int twin_append_many(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  append(L, twin, 1, luaL_len(L, 2));
  return 0;
}

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

static void set_text(lua_State *L, sqlite3_stmt *row, int column, int key) {
  const char *text = (const char *)sqlite3_column_text(row, column);
  lua_pushvalue(L, key);
  (void)lua_pushlstring(L, text, (size_t)sqlite3_column_bytes(row, column));
  lua_rawset(L, -3);
}

static void set_integer(lua_State *L, sqlite3_stmt *row, int column, int key) {
  lua_pushvalue(L, key);
  lua_pushinteger(L, sqlite3_column_int64(row, column));
  lua_rawset(L, -3);
}

void twin__set_text(lua_State *L, sqlite3_stmt *row, int column, const char *name) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) return;
  const char *text = (const char *)sqlite3_column_text(row, column);
  (void)lua_pushlstring(L, text, (size_t)sqlite3_column_bytes(row, column));
  lua_setfield(L, -2, name);
}

void twin__set_integer(lua_State *L, sqlite3_stmt *row, int column, const char *name) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) return;
  lua_pushinteger(L, sqlite3_column_int64(row, column));
  lua_setfield(L, -2, name);
}

/* The columns that few messages have: looked at, as they must be, though the benchmark's messages have none. */
static void set_rare(lua_State *L, sqlite3_stmt *row) {
  static const struct {
    int column;
    const char *name;
  } rare[] = {{4, "content"},     {5, "name"},     {6, "tool_calls"},  {7, "tool_call_id"},
              {8, "attachments"}, {9, "metadata"}, {12, "updated_at"}, {13, "redacted_at"}};
  for (size_t i = 0; i < sizeof rare / sizeof *rare; i++)
    twin__set_text(L, row, rare[i].column, rare[i].name);
}

/* Pushes a row of MESSAGE_COLUMNS as a message, like convstore's. */
static void push_message(lua_State *L, sqlite3_stmt *row) {
  lua_createtable(L, 0, 7);
  set_integer(L, row, 0, KEY_SEQ);
  set_text(L, row, 1, KEY_ID);
  lua_pushvalue(L, KEY_CONVERSATION_ID);
  lua_pushvalue(L, CONVERSATION_ID);
  lua_rawset(L, -3);
  set_text(L, row, 2, KEY_ROLE);
  if (sqlite3_column_type(row, 3) != SQLITE_NULL) set_text(L, row, 3, KEY_CONTENT);
  set_integer(L, row, 10, KEY_TOKEN_COUNT);
  set_integer(L, row, 11, KEY_CREATED_AT);
  set_rare(L, row);
}

/* twin:newest(limit): the last messages, oldest first; the conversation must have that many */
static int twin_newest(lua_State *L) {
  static const char *const keys[] = {"seq",     "id",          "conversation_id", "role",
                                     "content", "token_count", "created_at"};
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer i = luaL_checkinteger(L, 2);
  lua_settop(L, 2);
  (void)lua_getiuservalue(L, 1, 2);
  for (size_t key = 0; key < sizeof keys / sizeof *keys; key++) (void)lua_pushstring(L, keys[key]);
  lua_createtable(L, (int)i, 0);
  if (sqlite3_step(twin->live) != SQLITE_ROW)
    return twin__fail(L, twin); /* open until the end: one state of the file */
  (void)sqlite3_bind_int64(twin->newest, 3, 0);
  (void)sqlite3_bind_int64(twin->newest, 4, INT64_MAX);
  (void)sqlite3_bind_int64(twin->newest, 5, i);
  while (sqlite3_step(twin->newest) == SQLITE_ROW) {
    push_message(L, twin->newest);
    lua_rawseti(L, MESSAGES, i--);
  }
  if (sqlite3_reset(twin->newest) != SQLITE_OK) return twin__fail(L, twin);
  (void)sqlite3_reset(twin->live);
  return i == 0 ? 1 : luaL_error(L, "twin: the conversation is shorter than that");
}

/* twin.clock(): seconds of a clock that never goes back */
static int twin_clock(lua_State *L) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_twin(lua_State *L) {
  static const luaL_Reg methods[] = {{"append", twin_append}, {"append_many", twin_append_many},
                                     {"newest", twin_newest}, {"context", twin__context},
                                     {"list", twin__list},    {"close", twin_close},
                                     {"__gc", twin_close},    {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open", twin_open}, {"clock", twin_clock}, {"sql", twin__sql}, {NULL, NULL}};
  twin__sql_register(L);
  (void)luaL_newmetatable(L, TWIN);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  lua_pushstring(L, sqlite3_libversion());
  lua_setfield(L, -2, "sqlite_version");
  lua_pushstring(L, __VERSION__);
  lua_setfield(L, -2, "compiler");
  return 1;
}
