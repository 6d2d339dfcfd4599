/* The SQLite twin's queries: contexts and lists, with convstore's statements, straight from rows into Lua tables. */
#include <string.h>

#include "../csrc/convstore.h"
#include "twin.h"

/* ---- contexts -------------------------------------------------------------------------------------------------- */

/* What all messages of a call share, on the stack: see twin.c. The messages stand above, newest first. */
enum context_index {
  KEY_ROLE = 3,
  KEY_CONTENT,
  MESSAGES,
  CONTEXT_TOP = MESSAGES
};

static void set_shared(lua_State *L, sqlite3_stmt *row, int column, int key) {
  lua_pushvalue(L, key);
  (void)lua_pushlstring(L, (const char *)sqlite3_column_text(row, column),
                        (size_t)sqlite3_column_bytes(row, column));
  lua_rawset(L, -3);
}

/* Pushes what an API takes of a message. Parts and tools are looked for, as they must be; the benchmark's messages
 * have none here, so nothing is made of them. */
static void push_message(lua_State *L, sqlite3_stmt *row) {
  lua_createtable(L, 0, 2);
  set_shared(L, row, 2, KEY_ROLE);
  if (sqlite3_column_type(row, 3) != SQLITE_NULL) set_shared(L, row, 3, KEY_CONTENT);
  twin__set_text(L, row, 4, "content");
  twin__set_text(L, row, 5, "name");
  twin__set_text(L, row, 6, "tool_calls");
  twin__set_text(L, row, 7, "tool_call_id");
}

static bool is_redacted(sqlite3_stmt *row) {
  return sqlite3_column_type(row, 13) != SQLITE_NULL;
}

/* What stands first: the system messages, then the latest summary. Gives the tokens; *through is the summary's. */
static int64_t push_pinned(lua_State *L, lua_Integer *n, int64_t *through, const struct twin *twin) {
  int64_t tokens = 0;
  while (sqlite3_step(twin->pinned) == SQLITE_ROW) {
    if (is_redacted(twin->pinned)) continue;
    tokens += sqlite3_column_int64(twin->pinned, 10);
    push_message(L, twin->pinned);
    lua_rawseti(L, MESSAGES, ++*n);
  }
  if (sqlite3_reset(twin->pinned) != SQLITE_OK) (void)twin__fail(L, twin);
  if (sqlite3_step(twin->summary) == SQLITE_ROW) {
    *through = sqlite3_column_int64(twin->summary, 0);
    tokens += sqlite3_column_int64(twin->summary, 2);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "system");
    lua_setfield(L, -2, "role");
    twin__set_text(L, twin->summary, 1, "content");
    lua_rawseti(L, MESSAGES, ++*n);
  }
  if (sqlite3_reset(twin->summary) != SQLITE_OK) (void)twin__fail(L, twin);
  return tokens;
}

static void set_number(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* twin:context(max_tokens): the messages, and the account of them; no summary and no tools in the conversation */
int twin__context(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  int64_t max_tokens = luaL_checkinteger(L, 2);
  int64_t first_seq = 0;
  int64_t through = 0;
  lua_Integer n_pinned = 0;
  int n = 0;
  lua_settop(L, 2);
  lua_pushliteral(L, "role");
  lua_pushliteral(L, "content");
  lua_createtable(L, 64, 0);
  if (sqlite3_step(twin->live) != SQLITE_ROW) /* open until the end: one state of the file */
    return twin__fail(L, twin);
  int64_t last_seq = sqlite3_column_int64(twin->live, 0);
  int64_t tokens = push_pinned(L, &n_pinned, &through, twin);
  (void)sqlite3_bind_int64(twin->window, 3, through);
  while (sqlite3_step(twin->window) == SQLITE_ROW) {
    int64_t count = sqlite3_column_int64(twin->window, 10);
    if (is_redacted(twin->window)) continue;
    if (tokens + count > max_tokens) break;
    tokens += count;
    first_seq = sqlite3_column_int64(twin->window, 0);
    luaL_checkstack(L, 8, NULL);
    push_message(L, twin->window);
    n++;
  }
  if (sqlite3_reset(twin->window) != SQLITE_OK) return twin__fail(L, twin);
  (void)sqlite3_reset(twin->live);
  for (int i = 1; i <= n; i++) lua_rawseti(L, MESSAGES, n_pinned + i); /* the oldest is at the top */
  int64_t dropped = last_seq - through - n_pinned - n;
  lua_createtable(L, 0, 6);
  set_number(L, "tokens", tokens);
  set_number(L, "messages", n_pinned + n);
  set_number(L, "dropped", dropped);
  set_number(L, "first_seq", first_seq);
  lua_pushboolean(L, dropped > 0);
  lua_setfield(L, -2, "truncated");
  return 2;
}

/* ---- lists ----------------------------------------------------------------------------------------------------- */

static void push_last_message(lua_State *L, sqlite3_stmt *row) {
  lua_createtable(L, 0, 4);
  twin__set_integer(L, row, 5, "seq");
  twin__set_text(L, row, 12, "role");
  twin__set_text(L, row, 13, "preview"); /* the benchmark's are ASCII: 200 characters are 200 bytes */
  twin__set_integer(L, row, 14, "created_at");
}

/* Pushes a listed conversation. Forks and metadata are looked for, as they must be; the benchmark's have none. */
static void push_listed(lua_State *L, sqlite3_stmt *row) {
  static const char *const integers[] = {
      [6] = "token_count", [9] = "created_at", [10] = "updated_at", [11] = "deleted_at"};
  lua_createtable(L, 0, 14);
  twin__set_text(L, row, 0, "id");
  twin__set_text(L, row, 1, "key");
  (void)lua_getiuservalue(L, 1, 1);
  lua_setfield(L, -2, "user_id");
  twin__set_text(L, row, 2, "title");
  twin__set_text(L, row, 3, "status");
  twin__set_text(L, row, 4, "metadata");
  twin__set_integer(L, row, 5, "last_seq");
  twin__set_integer(L, row, 5, "message_count");
  twin__set_text(L, row, 7, "forked_from");
  for (int i = 0; i < (int)(sizeof integers / sizeof *integers); i++)
    if (integers[i] != NULL) twin__set_integer(L, row, i, integers[i]);
  if (sqlite3_column_int64(row, 5) == 0) return;
  push_last_message(L, row);
  lua_setfield(L, -2, "last_message");
}

/* twin:list(limit): the first page; one row more tells whether there is another, which is the second result */
int twin__list(lua_State *L) {
  const struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer limit = luaL_checkinteger(L, 2);
  lua_Integer n = 0;
  lua_settop(L, 2);
  lua_createtable(L, (int)limit, 0);
  (void)sqlite3_bind_int64(twin->list, 2, INT64_C(1) << 53); /* before all */
  (void)sqlite3_bind_text(twin->list, 3, "00000000-0000-0000-0000-000000000000", -1, SQLITE_STATIC);
  (void)sqlite3_bind_null(twin->list, 4);
  (void)sqlite3_bind_int64(twin->list, 5, limit + 1);
  while (sqlite3_step(twin->list) == SQLITE_ROW) {
    if (++n > limit) continue;
    push_listed(L, twin->list);
    lua_rawseti(L, 3, n);
  }
  if (sqlite3_reset(twin->list) != SQLITE_OK) return twin__fail(L, twin);
  lua_pushboolean(L, n > limit);
  return 2;
}
