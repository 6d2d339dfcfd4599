/*
 * Transactions, as the value that store:transaction (lua/convstore/init.lua) holds while its function runs.
 * Closing or collecting the value rolls back, unless it was committed: so an error, a coroutine that is
 * closed, and one that is dropped and never resumed all end their transaction.
 */
#include "call.h"
#include "log.h"

#define TRANSACTION_TYPE "convstore.transaction"

/* It does nothing at all where another transaction is open by now: a dropped value may be collected late. */
struct transaction {
  struct store *store; /* kept alive by a user value */
  lua_Integer serial;  /* store->transactions as it was at the outermost begin */
  int depth;           /* how many were open with this one; 0: over */
};
enum {
  TRANSACTION_STORE = 1,
  TRANSACTION_USER_VALUES = 1
};

/* The gate, as store:transaction's caller should see it: two levels up from here. */
static struct store *check_store(lua_State *L) {
  struct store *store = luaL_testudata(L, 1, STORE_TYPE);
  if (store == NULL || store->handle == NULL) {
    luaL_where(L, 2);
    lua_pushfstring(L, "calling 'transaction' on bad self (%s)",
                    store == NULL ? STORE_TYPE " expected" : "store is closed");
    lua_concat(L, 2);
    lua_error(L);
  }
  return store;
}

/* begin(store) -> a transaction; inside another of the same coroutine, a savepoint. */
static int l_begin(lua_State *L) {
  struct store *store = check_store(L);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  struct transaction *transaction = lua_newuserdatauv(L, sizeof *transaction, TRANSACTION_USER_VALUES);
  *transaction = (struct transaction){.store = store};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, TRANSACTION_STORE);
  luaL_setmetatable(L, TRANSACTION_TYPE);
  request.operation = CONVSTORE_BEGIN;
  if (convstore__lua_run(L, store, &request, &err) == NULL) return convstore__lua_fail(L, &err);
  if (store->handle == NULL) { /* by the log's function; nothing is open any more */
    convstore__lua_answer_done(L, -1);
    return luaL_error(L, "store is closed");
  }
  transaction->depth = convstore_depth(store->handle);
  transaction->serial = transaction->depth == 1 ? ++store->transactions : store->transactions;
  convstore__lua_answer_done(L, -1);
  lua_pop(L, 1);
  return 1;
}

static int end(lua_State *L, bool collected) {
  struct transaction *transaction = luaL_checkudata(L, 1, TRANSACTION_TYPE);
  struct store *store = transaction->store;
  int depth = transaction->depth;
  transaction->depth = 0;
  if (depth > 0 && store->handle != NULL && store->transactions == transaction->serial) {
    convstore__lua_roll_back(store, depth);
    if (!collected) convstore__lua_log(L, store);
  }
  return 0;
}

/* rollback(transaction): of this one and of what is open inside it. Also __close. */
static int l_rollback(lua_State *L) {
  return end(L, false);
}

/* A finalizer comes at any time, even inside a call: what happens in it waits for the next call to be logged. */
static int l_gc(lua_State *L) {
  return end(L, true);
}

/*
 * commit(transaction) -> true; nil, message, code: it is still to be rolled back. Raises where the store was
 * closed.
 */
static int l_commit(lua_State *L) {
  struct transaction *transaction = luaL_checkudata(L, 1, TRANSACTION_TYPE);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  request.operation = CONVSTORE_COMMIT;
  if (convstore__lua_run(L, transaction->store, &request, &err) == NULL) return convstore__lua_fail(L, &err);
  transaction->depth = 0;
  convstore__lua_answer_done(L, -1);
  lua_pushboolean(L, 1);
  return 1;
}

void convstore__lua_open_transaction(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", l_rollback}, {"__gc", l_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"begin", l_begin}, {"commit", l_commit}, {"rollback", l_rollback}, {NULL, NULL}};
  luaL_newmetatable(L, TRANSACTION_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
