/* See push.h. */
#include "push.h"

#include "json.h"

/* What every message has: id, seq, conversation_id, role, token_count, created_at. */
enum {
  COMMON_FIELDS = 6
};

void convstore__lua_set_text(lua_State *L, const char *name, convstore_text text) {
  if (text.data != NULL) {
    lua_pushlstring(L, text.data, text.size);
    lua_setfield(L, -2, name);
  }
}

void convstore__lua_set_time(lua_State *L, const char *name, int64_t time_ms) {
  if (time_ms != CONVSTORE_ABSENT) {
    lua_pushinteger(L, time_ms);
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
  convstore__lua_set_text(L, "name", message->name);
  convstore__lua_set_text(L, "tool_call_id", message->tool_call_id);
  convstore__lua_set_time(L, "updated_at", message->updated_at_ms);
  convstore__lua_set_time(L, "redacted_at", message->redacted_at_ms);
  return status;
}

/*
 * Pushes one message as a table of exactly its size, so that filling it never rehashes. `strings` is the
 * stack index of the conversation's id, followed by the names of the roles.
 */
static int push_message(lua_State *L, struct answer *answer, const convstore_message *message, int strings,
                        convstore_error *err) {
  int n = count_fields(message);
  lua_createtable(L, 0, n);
  lua_pushstring(L, message->id);
  lua_setfield(L, -2, "id");
  lua_pushinteger(L, message->seq);
  lua_setfield(L, -2, "seq");
  lua_pushvalue(L, strings);
  lua_setfield(L, -2, "conversation_id");
  lua_pushvalue(L, strings + 1 + (int)message->role);
  lua_setfield(L, -2, "role");
  convstore__lua_set_text(L, "content", message->content);
  lua_pushinteger(L, message->token_count);
  lua_setfield(L, -2, "token_count");
  lua_pushinteger(L, message->created_at_ms);
  lua_setfield(L, -2, "created_at");
  if (n == COMMON_FIELDS + (message->content.data != NULL)) return CONVSTORE_OK;
  return set_rare_fields(L, answer, message, err);
}

static int push_strings(lua_State *L, const char *conversation_id) {
  lua_pushstring(L, conversation_id);
  for (int role = 0; role < CONVSTORE_ROLES; role++) {
    lua_pushstring(L, convstore_role_name((convstore_role)role));
  }
  return lua_gettop(L) - CONVSTORE_ROLES;
}

/* Ends a push whose result, or nothing after a failure, is at the top. */
static int finish(lua_State *L, int answer, int status, const convstore_error *err) {
  convstore__lua_answer_done(L, answer);
  return status == CONVSTORE_OK ? 1 : convstore__lua_fail(L, err);
}

int convstore__lua_push_messages(lua_State *L, int answer, const char *conversation_id) {
  struct answer *owner = lua_touserdata(L, answer);
  size_t n = owner->result.n_messages;
  convstore_error err;
  int status = CONVSTORE_OK;
  int strings;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  strings = push_strings(L, conversation_id);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    status = push_message(L, owner, &owner->result.messages[i], strings, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return finish(L, answer, status, &err);
}

int convstore__lua_push_message(lua_State *L, int answer, const char *conversation_id) {
  struct answer *owner = lua_touserdata(L, answer);
  convstore_error err;
  int status;
  int strings;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  strings = push_strings(L, conversation_id);
  status = push_message(L, owner, owner->result.messages, strings, &err);
  return finish(L, answer, status, &err);
}
