/*
 * See call.h. The decision that shaped it: an answer with a finalizer costs more to collect than to use, so
 * one idle answer lies in the registry and serves call after call. A call that is raised out of keeps its
 * answer from going back, and a call inside a call (from a finalizer, while tables are made) finds none idle
 * and makes its own.
 */
#include "call.h"

#include <string.h>

#include "log.h"

#define ANSWER_TYPE "convstore.answer"

/* Keys in the registry, by address: the idle answer or false; owner threads by store, weak. */
static const char idle_answer;
static const char owners;

static void answer_clear(struct answer *answer) {
  json_decref(answer->json);
  answer->json = NULL;
  convstore_result_free(&answer->result);
}

static int l_answer_gc(lua_State *L) {
  answer_clear(luaL_checkudata(L, 1, ANSWER_TYPE));
  return 0;
}

struct answer *convstore__lua_answer(lua_State *L) {
  struct answer *answer;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &idle_answer) == LUA_TUSERDATA) {
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &idle_answer);
    return lua_touserdata(L, -1);
  }
  lua_pop(L, 1);
  answer = lua_newuserdatauv(L, sizeof *answer, 0);
  *answer = (struct answer){.json = NULL};
  luaL_setmetatable(L, ANSWER_TYPE);
  return answer;
}

void convstore__lua_answer_done(lua_State *L, int index) {
  answer_clear(lua_touserdata(L, index));
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &idle_answer);
}

void convstore__lua_roll_back(struct store *store, int depth) {
  int status = CONVSTORE_OK;
  while (status == CONVSTORE_OK && convstore_depth(store->handle) >= depth) {
    convstore_request request = CONVSTORE_REQUEST_INIT;
    convstore_result result = {.n_messages = 0};
    request.operation = CONVSTORE_ROLLBACK;
    status = convstore_run(&result, store->handle, &request, NULL);
    convstore_result_free(&result);
  }
}

/*
 * Whether the running coroutine may call: no transaction is open, or it is its own. The owner is held
 * weakly: a coroutine that was dropped in mid-transaction must be collected for the transaction to end. An
 * address would not do, since a new coroutine may lie where a collected one was. An owner that is gone
 * leaves nobody to end the transaction where its finalizer failed for want of memory: then it ends here.
 */
static bool may_call(lua_State *L, struct store *store) {
  lua_State *owner;
  if (convstore_depth(store->handle) == 0) return true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners);
  lua_rawgetp(L, -1, store);
  owner = lua_tothread(L, -1);
  lua_pop(L, 2);
  if (owner == NULL) convstore__lua_roll_back(store, 1);
  return owner == L || owner == NULL;
}

static void own(lua_State *L, const struct store *store) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners);
  lua_pushthread(L);
  lua_rawsetp(L, -2, store);
  lua_pop(L, 1);
}

void convstore__lua_disown(lua_State *L, const struct store *store) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners);
  if (lua_rawgetp(L, -1, store) !=
      LUA_TNIL) { /* so that what follows replaces a value, and allocates nothing */
    lua_pushnil(L);
    lua_rawsetp(L, -3, store);
  }
  lua_pop(L, 2);
}

convstore_request convstore__lua_request(const struct conversation *conversation,
                                         convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = (convstore_text){conversation->user_id, conversation->n_user_id};
  memcpy(request.conversation_id, conversation->id, sizeof request.conversation_id);
  return request;
}

struct answer *convstore__lua_run(lua_State *L, struct store *store, convstore_request *request,
                                  convstore_error *err) {
  struct answer *answer = convstore__lua_answer(L);
  int status;
  if (store->handle == NULL) { /* only now: anything that allocates may run a finalizer that closes it */
    luaL_error(L, "store is closed");
  }
  if (may_call(L, store)) {
    if (request->operation == CONVSTORE_BEGIN) own(L, store); /* first: it may run out of memory */
    status = convstore_run(&answer->result, store->handle, request, err);
    convstore__lua_log(L, store);
  } else {
    status = convstore_fail(
        err, CONVSTORE_E_BUSY,
        "another coroutine has a transaction open on this store: call again when it has ended");
  }
  if (status == CONVSTORE_OK) return answer;
  convstore__lua_answer_done(L, -1);
  lua_pop(L, 1);
  return NULL;
}

int convstore__lua_fail(lua_State *L, const convstore_error *err) {
  if (err->status == CONVSTORE_E_MEMORY) {
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  lua_pushnil(L);
  lua_pushstring(L, err->message);
  lua_pushstring(L, convstore_status_name(err->status));
  return 3;
}

int convstore__lua_fail_with_id(lua_State *L, const convstore_error *err, char id[CONVSTORE_ID_SIZE]) {
  int n = convstore__lua_fail(L, err);
  if (id[0] == '\0' && convstore_uuid(id, NULL) != CONVSTORE_OK) return n;
  lua_pushstring(L, id);
  return n + 1;
}

void convstore__lua_open_call(lua_State *L) {
  luaL_newmetatable(L, ANSWER_TYPE);
  lua_pushcfunction(L, l_answer_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);

  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &owners);
}
