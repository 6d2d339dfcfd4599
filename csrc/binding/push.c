/* See push.h. */
#include "push.h"

#include "json.h"

/* What every message has: id, seq, conversation_id, role, token_count, created_at. */
enum {
  COMMON_FIELDS = 6
};

/* Sets t[name] of the table at the top; an absent value sets nothing. */
static void set_text(lua_State *L, const char *name, convstore_text text) {
  if (text.data != NULL) {
    lua_pushlstring(L, text.data, text.size);
    lua_setfield(L, -2, name);
  }
}

static void set_number(lua_State *L, const char *name, int64_t value) {
  if (value != CONVSTORE_ABSENT) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
  }
}

static int set_json(lua_State *L, struct answer *answer, const char *name, convstore_text text,
                    convstore_error *err) {
  int status = CONVSTORE_OK;
  if (text.data != NULL) {
    status = convstore__lua_json_push(L, answer, text, name, err);
    if (status == CONVSTORE_OK) {
      lua_setfield(L, -2, name);
    }
  }
  return status;
}

static int count_fields(const convstore_message *message) {
  return COMMON_FIELDS + (message->content.data != NULL) + (message->parts.data != NULL) +
         (message->name.data != NULL) + (message->tool_calls.data != NULL) +
         (message->tool_call_id.data != NULL) + (message->attachments.data != NULL) +
         (message->metadata.data != NULL) + (message->updated_at_ms != CONVSTORE_ABSENT) +
         (message->redacted_at_ms != CONVSTORE_ABSENT);
}

/* The fields that few messages have. */
static int set_rare_fields(lua_State *L, struct answer *answer, const convstore_message *message,
                           convstore_error *err) {
  int status = set_json(L, answer, "content", message->parts, err);
  if (status == CONVSTORE_OK) {
    status = set_json(L, answer, "tool_calls", message->tool_calls, err);
  }
  if (status == CONVSTORE_OK) {
    status = set_json(L, answer, "attachments", message->attachments, err);
  }
  if (status == CONVSTORE_OK) {
    status = set_json(L, answer, "metadata", message->metadata, err);
  }
  set_text(L, "name", message->name);
  set_text(L, "tool_call_id", message->tool_call_id);
  set_number(L, "updated_at", message->updated_at_ms);
  set_number(L, "redacted_at", message->redacted_at_ms);
  return status;
}

/*
 * What the messages of one call share, pushed once, in this order from some stack index on. With its key at
 * hand a field is set by lua_rawset; lua_setfield, which looks the string up each time, took 10 % more
 * instructions for a history of 1,000 (callgrind, Lua 5.4.4).
 */
enum shared {
  CONVERSATION_ID,
  ROLE_NAMES,
  KEY_ID = ROLE_NAMES + CONVSTORE_ROLES,
  KEY_SEQ,
  KEY_CONVERSATION_ID,
  KEY_ROLE,
  KEY_CONTENT,
  KEY_TOKEN_COUNT,
  KEY_CREATED_AT,
  SHARED
};

static int push_shared(lua_State *L, const char *conversation_id) {
  static const char *const keys[] = {"id",      "seq",         "conversation_id", "role",
                                     "content", "token_count", "created_at"};
  _Static_assert(sizeof keys / sizeof *keys == SHARED - KEY_ID, "each key has its place");
  int shared = lua_gettop(L) + 1;
  luaL_checkstack(L, SHARED + LUA_MINSTACK, NULL);
  lua_pushstring(L, conversation_id);
  for (int role = 0; role < CONVSTORE_ROLES; role++) {
    lua_pushstring(L, convstore_role_name((convstore_role)role));
  }
  for (int key = 0; key < SHARED - KEY_ID; key++) {
    lua_pushstring(L, keys[key]);
  }
  return shared;
}

static void set_integer(lua_State *L, int key, int64_t value) {
  lua_pushvalue(L, key);
  lua_pushinteger(L, value);
  lua_rawset(L, -3);
}

static void set_string(lua_State *L, int key, const char *data, size_t size) {
  lua_pushvalue(L, key);
  lua_pushlstring(L, data, size);
  lua_rawset(L, -3);
}

static void set_shared(lua_State *L, int key, int value) {
  lua_pushvalue(L, key);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
}

/* Pushes one message as a table of exactly its size, so that filling it never rehashes. */
static int push_message(lua_State *L, struct answer *answer, const convstore_message *message, int shared,
                        convstore_error *err) {
  int n = count_fields(message);
  lua_createtable(L, 0, n);
  set_string(L, shared + KEY_ID, message->id, CONVSTORE_ID_SIZE - 1);
  set_integer(L, shared + KEY_SEQ, message->seq);
  set_shared(L, shared + KEY_CONVERSATION_ID, shared + CONVERSATION_ID);
  set_shared(L, shared + KEY_ROLE, shared + ROLE_NAMES + (int)message->role);
  if (message->content.data != NULL) {
    set_string(L, shared + KEY_CONTENT, message->content.data, message->content.size);
  }
  set_integer(L, shared + KEY_TOKEN_COUNT, message->token_count);
  set_integer(L, shared + KEY_CREATED_AT, message->created_at_ms);
  if (n == COMMON_FIELDS + (message->content.data != NULL)) return CONVSTORE_OK;
  return set_rare_fields(L, answer, message, err);
}

/* Ends a push whose result, or nothing after a failure, is at the top. */
static int finish(lua_State *L, int answer, int status, const convstore_error *err) {
  convstore__lua_answer_done(L, answer);
  return status == CONVSTORE_OK ? 1 : convstore__lua_fail(L, err);
}

int convstore__lua_push_messages(lua_State *L, int answer, const char *conversation_id) {
  struct answer *owner = lua_touserdata(L, answer);
  size_t n = owner->result.n_messages;
  int shared = push_shared(L, conversation_id);
  convstore_error err;
  int status = CONVSTORE_OK;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    status = push_message(L, owner, &owner->result.messages[i], shared, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return finish(L, answer, status, &err);
}

int convstore__lua_push_message(lua_State *L, int answer, const char *conversation_id) {
  struct answer *owner = lua_touserdata(L, answer);
  int shared = push_shared(L, conversation_id);
  convstore_error err;
  int status = push_message(L, owner, owner->result.messages, shared, &err);
  return finish(L, answer, status, &err);
}

/* ---- pages -------------------------------------------------------------------------------------------------- */

/* The same as finish() for a page, whose rows are at the top. */
static int finish_page(lua_State *L, int answer, int status, const convstore_error *err) {
  const struct answer *owner = lua_touserdata(L, answer);
  convstore_text cursor = owner->result.cursor;
  if (status == CONVSTORE_OK && cursor.data != NULL) {
    lua_pushlstring(L, cursor.data, cursor.size);
  } else {
    lua_pushnil(L);
  }
  int n = finish(L, answer, status, err);
  return status == CONVSTORE_OK ? 2 : n;
}

int convstore__lua_push_messages_page(lua_State *L, int answer) {
  struct answer *owner = lua_touserdata(L, answer);
  size_t n = owner->result.n_messages;
  int shared = push_shared(L, "");
  convstore_error err;
  int status = CONVSTORE_OK;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    lua_pushstring(L, owner->result.conversation_ids[i]);
    lua_replace(L, shared + CONVERSATION_ID);
    status = push_message(L, owner, &owner->result.messages[i], shared, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return finish_page(L, answer, status, &err);
}

static void set_name(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_last_message(lua_State *L, const convstore_listed *listed) {
  if (listed->conversation.last_seq == 0) return;
  lua_createtable(L, 0, 4);
  set_number(L, "seq", listed->conversation.last_seq);
  set_name(L, "role", convstore_role_name(listed->role));
  set_text(L, "preview", listed->preview);
  set_number(L, "created_at", listed->message_created_at_ms);
  lua_setfield(L, -2, "last_message");
}

/* What a conversation handle shows, as a table; and its last message. */
static int push_listed(lua_State *L, struct answer *answer, const convstore_listed *listed,
                       convstore_text user_id, convstore_error *err) {
  enum {
    MOST_FIELDS = 14
  };
  const convstore_conversation *row = &listed->conversation;
  lua_createtable(L, 0, MOST_FIELDS);
  set_name(L, "id", row->id);
  set_text(L, "key", row->key);
  set_text(L, "user_id", user_id);
  set_text(L, "title", row->title);
  set_name(L, "status", convstore_mark_name(row->mark));
  set_number(L, "created_at", row->created_at_ms);
  set_number(L, "updated_at", row->updated_at_ms);
  set_number(L, "deleted_at", row->deleted_at_ms);
  set_number(L, "message_count", row->last_seq);
  set_number(L, "token_count", row->token_count);
  set_number(L, "last_seq", row->last_seq);
  if (row->forked_from_id[0] != '\0') {
    lua_createtable(L, 0, 2);
    set_name(L, "id", row->forked_from_id);
    set_number(L, "seq", row->forked_from_seq);
    lua_setfield(L, -2, "forked_from");
  }
  set_last_message(L, listed);
  return set_json(L, answer, "metadata", row->metadata, err);
}

int convstore__lua_push_listed_page(lua_State *L, int answer, convstore_text user_id) {
  struct answer *owner = lua_touserdata(L, answer);
  size_t n = owner->result.n_listed;
  convstore_error err;
  int status = CONVSTORE_OK;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    status = push_listed(L, owner, &owner->result.listed[i], user_id, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return finish_page(L, answer, status, &err);
}

int convstore__lua_push_summary(lua_State *L, int answer) {
  struct answer *owner = lua_touserdata(L, answer);
  const convstore_summary *summary = &owner->result.summary;
  convstore_error err;
  lua_createtable(L, 0, 5);
  set_number(L, "through", summary->through);
  set_text(L, "content", summary->content);
  set_number(L, "token_count", summary->token_count);
  set_number(L, "created_at", summary->created_at_ms);
  int status = set_json(L, owner, "metadata", summary->metadata, &err);
  return finish(L, answer, status, &err);
}

static int push_hit(lua_State *L, struct answer *answer, size_t i, int shared, convstore_error *err) {
  const convstore_hit *hit = &answer->result.hits[i];
  lua_createtable(L, 0, 5);
  lua_pushvalue(L, shared + CONVERSATION_ID);
  lua_setfield(L, -2, "conversation_id");
  set_text(L, "title", hit->title);
  int status = push_message(L, answer, &answer->result.messages[i], shared, err);
  lua_setfield(L, -2, "message");
  set_text(L, "snippet", hit->snippet);
  lua_pushnumber(L, hit->score);
  lua_setfield(L, -2, "score");
  return status;
}

int convstore__lua_push_hits_page(lua_State *L, int answer) {
  struct answer *owner = lua_touserdata(L, answer);
  size_t n = owner->result.n_messages;
  int shared = push_shared(L, "");
  convstore_error err;
  int status = CONVSTORE_OK;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    lua_pushstring(L, owner->result.conversation_ids[i]);
    lua_replace(L, shared + CONVERSATION_ID);
    status = push_hit(L, owner, i, shared, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return finish_page(L, answer, status, &err);
}

/* ---- contexts ----------------------------------------------------------------------------------------------- */

static int push_api_message(lua_State *L, struct answer *answer, const convstore_message *message, int shared,
                            convstore_error *err) {
  bool has_content = message->content.data != NULL;
  int n_rare = (message->parts.data != NULL) + (message->name.data != NULL) +
               (message->tool_calls.data != NULL) + (message->tool_call_id.data != NULL);
  lua_createtable(L, 0, 1 + has_content + n_rare);
  set_shared(L, shared + KEY_ROLE, shared + ROLE_NAMES + (int)message->role);
  if (has_content) set_string(L, shared + KEY_CONTENT, message->content.data, message->content.size);
  return n_rare == 0 ? CONVSTORE_OK : set_rare_fields(L, answer, message, err);
}

int convstore__lua_push_context(lua_State *L, struct answer *answer, convstore_error *err) {
  size_t n = answer->result.n_messages;
  int shared = push_shared(L, "");
  int status = CONVSTORE_OK;
  lua_createtable(L, (int)n, 0);
  luaL_setmetatable(L, ARRAY_TYPE);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    status = push_api_message(L, answer, &answer->result.messages[i], shared, err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return status;
}
