/* The PostgreSQL twin's queries: contexts and lists, with convstore's statements, from the rows into Lua tables. */
#include "twin_postgres.h"

static void set_text(lua_State *L, const PGresult *rows, int row, int column, const char *name) {
  convstore_text text = convstore__postgres_peek_text(rows, row, column);
  if (text.data == NULL) return;
  (void)lua_pushlstring(L, text.data, text.size);
  lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int64_t value) {
  if (value == CONVSTORE_ABSENT) return;
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* ---- contexts -------------------------------------------------------------------------------------------------- */

enum { /* behind the columns of a message */
  KIND = 14,
  TOTAL
};

enum { /* kinds of rows */
  HEAD,
  PINNED,
  WINDOW
};

/* What all messages of a call share, on the stack: see twin_postgres.c. The messages stand above, newest first. */
enum context_index {
  KEY_ROLE = 3,
  KEY_CONTENT,
  MESSAGES
};

static void set_shared(lua_State *L, convstore_text text, int key) {
  lua_pushvalue(L, key);
  (void)lua_pushlstring(L, text.data, text.size);
  lua_rawset(L, -3);
}

/* Pushes what an API takes of a message. Parts and tools are looked for, as they must be; the benchmark's messages
 * have none here, so nothing is made of them. */
static void push_message(lua_State *L, const PGresult *rows, int row) {
  convstore_text content = convstore__postgres_peek_text(rows, row, 3);
  lua_createtable(L, 0, 2);
  set_shared(L, convstore__postgres_peek_text(rows, row, 2), KEY_ROLE);
  if (content.data != NULL) set_shared(L, content, KEY_CONTENT);
  set_text(L, rows, row, 4, "content");
  set_text(L, rows, row, 5, "name");
  set_text(L, rows, row, 6, "tool_calls");
  set_text(L, rows, row, 7, "tool_call_id");
}

static bool is_redacted(const PGresult *rows, int row) {
  return !convstore__postgres_is_null(rows, row, 13);
}

/* One round has all that is wanted, since here every message costs something. */
static void ask(lua_State *L, struct twin *twin, int64_t max_tokens) {
  struct postgres_params params = {0};
  twin__add_conversation(&params, twin);
  convstore__postgres_add_integer(&params, CONVSTORE_ABSENT); /* before */
  convstore__postgres_add_integer(&params, CONVSTORE_ABSENT); /* total */
  convstore__postgres_add_integer(&params, max_tokens);
  convstore__postgres_add_integer(&params, CONVSTORE_ABSENT); /* max_messages */
  convstore__postgres_add_integer(&params, 1);                /* with what is pinned */
  convstore__postgres_add_integer(&params, CONVSTORE_ABSENT); /* through */
  convstore__postgres_add_integer(&params, 8);                /* rows at least */
  twin__run(L, twin, POSTGRES_STMT_CONTEXT, &params);
}

/* twin:context(max_tokens): the messages, and the account of them; no tools in the conversation */
int twin__context(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  int64_t max_tokens = luaL_checkinteger(L, 2);
  int64_t last_seq = 0;
  int64_t through = 0;
  int64_t first_seq = 0;
  int64_t tokens = 0;
  lua_Integer n_pinned = 0;
  int n = 0;
  lua_settop(L, 2);
  lua_pushliteral(L, "role");
  lua_pushliteral(L, "content");
  lua_createtable(L, 64, 0);
  ask(L, twin, max_tokens);
  const PGresult *rows = twin->result;
  for (int row = 0; row < PQntuples(rows); row++) {
    int64_t kind = convstore__postgres_read_integer(rows, row, KIND);
    int64_t count = convstore__postgres_read_integer(rows, row, 10);
    if (kind == HEAD) {
      last_seq = convstore__postgres_read_integer(rows, row, 0);
      through = convstore__postgres_read_integer(rows, row, TOTAL);
      if (convstore__postgres_is_null(rows, row, 3)) continue;
    } else if (is_redacted(rows, row)) {
      continue;
    }
    if (kind == WINDOW && tokens + count > max_tokens) break;
    tokens += count;
    luaL_checkstack(L, 8, NULL);
    push_message(L, rows, row);
    if (kind == WINDOW) {
      first_seq = convstore__postgres_read_integer(rows, row, 0);
      n++;
    } else {
      lua_rawseti(L, MESSAGES, ++n_pinned);
    }
  }
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

static void push_last_message(lua_State *L, const PGresult *rows, int row) {
  lua_createtable(L, 0, 4);
  set_number(L, "seq", convstore__postgres_read_integer(rows, row, 5));
  set_text(L, rows, row, 12, "role");
  set_text(L, rows, row, 13, "preview"); /* the benchmark's are ASCII: 200 characters are 200 bytes */
  set_number(L, "created_at", convstore__postgres_read_time(rows, row, 14));
}

/* Pushes a listed conversation. Forks and metadata are looked for, as they must be; the benchmark's have none. */
static void push_listed(lua_State *L, const PGresult *rows, int row) {
  char id[CONVSTORE_ID_SIZE];
  lua_createtable(L, 0, 14);
  convstore__postgres_read_id(id, rows, row, 0);
  (void)lua_pushlstring(L, id, sizeof id - 1);
  lua_setfield(L, -2, "id");
  set_text(L, rows, row, 1, "key");
  (void)lua_getiuservalue(L, 1, 1);
  lua_setfield(L, -2, "user_id");
  set_text(L, rows, row, 2, "title");
  set_text(L, rows, row, 3, "status");
  set_text(L, rows, row, 4, "metadata");
  int64_t last_seq = convstore__postgres_read_integer(rows, row, 5);
  set_number(L, "last_seq", last_seq);
  set_number(L, "message_count", last_seq);
  set_number(L, "token_count", convstore__postgres_read_integer(rows, row, 6));
  set_text(L, rows, row, 7, "forked_from");
  set_number(L, "created_at", convstore__postgres_read_time(rows, row, 9));
  set_number(L, "updated_at", convstore__postgres_read_time(rows, row, 10));
  set_number(L, "deleted_at", convstore__postgres_read_time(rows, row, 11));
  if (last_seq == 0) return;
  push_last_message(L, rows, row);
  lua_setfield(L, -2, "last_message");
}

/* twin:list(limit): the first page; one row more tells whether there is another, which is the second result */
int twin__list(lua_State *L) {
  struct twin *twin = luaL_checkudata(L, 1, TWIN);
  lua_Integer limit = luaL_checkinteger(L, 2);
  struct postgres_params params = {0};
  lua_settop(L, 2);
  lua_createtable(L, (int)limit, 0);
  convstore__postgres_add_text(&params, twin->user_id);
  convstore__postgres_add_time(&params, INT64_C(1) << 53); /* before all */
  convstore__postgres_add_id(&params, "00000000-0000-0000-0000-000000000000");
  convstore__postgres_add_string(&params, NULL); /* status */
  convstore__postgres_add_integer(&params, limit + 1);
  twin__run(L, twin, POSTGRES_STMT_LIST + CONVSTORE_DELETED_NO, &params);
  int n = PQntuples(twin->result);
  for (int row = 0; row < n && row < limit; row++) {
    push_listed(L, twin->result, row);
    lua_rawseti(L, 3, row + 1);
  }
  lua_pushboolean(L, n > limit);
  return 2;
}
