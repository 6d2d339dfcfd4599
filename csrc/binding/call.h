/*
 * Running a request from Lua: who owns its result, which coroutine may, and how failure comes back. The only
 * part of the binding that calls convstore_run.
 */
#ifndef CONVSTORE_BINDING_CALL_H
#define CONVSTORE_BINDING_CALL_H

#include <jansson.h>

#include "handles.h"

/*
 * What a call brought from the core, in a userdata, so that an error raised while Lua tables are made of it
 * leaks nothing. Everything is freed as soon as the tables are there; the collector is only for what went
 * wrong.
 */
struct answer {
  convstore_result result; /* owned */
  json_t *json;            /* owned; the value being decoded, or NULL */
};

/* Pushes an empty answer. */
struct answer *convstore__lua_answer(lua_State *L);

/* Frees what the answer at `index` holds; it must not be used any more. The stack stays as it is. */
void convstore__lua_answer_done(lua_State *L, int index);

/* A request about a conversation, whose handle must outlive it. */
convstore_request convstore__lua_request(const struct conversation *conversation,
                                         convstore_operation operation);

/*
 * Runs a request that is complete and whose texts are anchored. Blocks up to the store's timeout. Success:
 * the answer, pushed. Failure: NULL, err filled, nothing pushed. Raises where the store was closed meanwhile
 * (by a finalizer or a hook), and when out of memory. E_BUSY at once: another coroutine has a transaction
 * open. BEGIN makes the transaction the running coroutine's. What happened meanwhile has gone to the store's log
 * when it returns, and the log's function may have closed the store.
 */
struct answer *convstore__lua_run(lua_State *L, struct store *store, convstore_request *request,
                                  convstore_error *err);

/* Rolls back transactions of an open store until fewer than `depth` are open. */
void convstore__lua_roll_back(struct store *store, int depth);

/*
 * Forgets whose transaction was the last one of a store that closes. The main thread is never collected, so
 * what it owned would be remembered for ever.
 */
void convstore__lua_disown(lua_State *L, const struct store *store);

/* Pushes nil, message, code; returns 3. Out of memory raises instead. */
int convstore__lua_fail(lua_State *L, const convstore_error *err);

/* The same, and as fourth value the id to try again with, made where `id` is "": returns 4. */
int convstore__lua_fail_with_id(lua_State *L, const convstore_error *err, char id[CONVSTORE_ID_SIZE]);

/* Makes what this file keeps in the registry. */
void convstore__lua_open_call(lua_State *L);

#endif
