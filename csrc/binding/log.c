/*
 * See log.h. All that can raise runs inside one protected call for each event: a call that has been committed must not
 * fail because of what is told about it.
 */
#include "log.h"

#include "../core/events.h"

/* Key in the registry: the stores that have a log, by address and held weakly. The function lies in the store itself,
 * so that one which refers to its store keeps nothing alive. */
static const char stores;

convstore_events *convstore__lua_log_start(lua_State *L, int index) {
  struct store *store = lua_touserdata(L, index);
  convstore_events *events;
  int type = lua_getiuservalue(L, index, STORE_LOG);
  lua_pop(L, 1);
  if (type != LUA_TFUNCTION) return NULL;
  events = lua_newuserdatauv(L, sizeof *events, 0);
  *events = (convstore_events){.n = 0};
  lua_setiuservalue(L, index, STORE_EVENTS);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stores);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, store);
  lua_pop(L, 1);
  store->events = events;
  return events;
}

static void set_string(lua_State *L, const char *name, const char *value) {
  if (value == NULL || value[0] == '\0') return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int64_t value) {
  if (value == CONVSTORE_ABSENT) return;
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void push_event(lua_State *L, const convstore_event *event) {
  lua_createtable(L, 0, 8);
  set_string(L, "event", convstore_event_name(event->kind));
  set_string(L, "call", convstore_operation_name(event->operation));
  set_string(L, "message", event->message);
  set_integer(L, "at", event->at_ms);
  set_integer(L, "elapsed_ms", event->elapsed_ms);
  set_integer(L, "attempt", event->attempt);
  set_integer(L, "version", event->version);
  set_integer(L, "count", event->count);
  set_string(L, "code", event->status != CONVSTORE_OK ? convstore_status_name(event->status) : NULL);
  set_string(L, "sqlstate", event->sqlstate);
  set_string(L, "statement", event->statement);
}

/* Arguments: the store's address, the event's. */
static int l_deliver(lua_State *L) {
  const convstore_event *event = lua_touserdata(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stores);
  if (lua_rawgetp(L, -1, lua_touserdata(L, 1)) != LUA_TUSERDATA) return 0; /* it is being collected */
  lua_getiuservalue(L, -1, STORE_LOG);
  push_event(L, event);
  lua_call(L, 1, 0);
  return 0;
}

/* True: the function returned. */
static bool deliver(lua_State *L, struct store *store, convstore_event *event) {
  lua_pushcfunction(L, l_deliver);
  lua_pushlightuserdata(L, store);
  lua_pushlightuserdata(L, event);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* Delivers as many events as wait now. `last`: no others will be. */
static void deliver_all(lua_State *L, struct store *store, bool last) {
  for (size_t n = convstore__events_count(store->events); n > 0; n--) {
    convstore_event event;
    if (!convstore_next_event(&event, store->events)) return;
    if (deliver(L, store, &event)) {
      if (event.kind == CONVSTORE_EVENT_LOG_FAILED) store->log_has_failed = false;
    } else if (!store->log_has_failed && !last) {
      /* What it raised is not told: it may be anything. */
      store->log_has_failed = true;
      (void)convstore__event(store->events, CONVSTORE_EVENT_LOG_FAILED,
                             "the log function raised an error when it was told of \"%s\"",
                             convstore_event_name(event.kind));
    }
  }
}

void convstore__lua_log(lua_State *L, struct store *store) {
  if (store->events == NULL || store->is_logging || convstore__events_count(store->events) == 0) return;
  if (!lua_checkstack(L, 4)) return; /* they wait for a better time */
  store->is_logging = true;
  deliver_all(L, store, false); /* what the call brought */
  deliver_all(L, store, true);  /* what the function's own calls brought */
  convstore__events_clear(store->events);
  store->is_logging = false;
}

void convstore__lua_open_log(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stores);
}
