/*
 * The program's own log, the option `log`: a function that is told after a call what happened in it. Knows stores and
 * events, no operation.
 */
#ifndef CONVSTORE_BINDING_LOG_H
#define CONVSTORE_BINDING_LOG_H

#include "handles.h"

/*
 * For a store that is about to be opened, at `index`: makes its queue of events, the store's own, where it has a
 * function at STORE_LOG. NULL: it has none. Raises when out of memory.
 */
convstore_events *convstore__lua_log_start(lua_State *L, int index);

/*
 * Calls the function with each event that waits, as a table; without any it costs a look. Never raises, and leaves the
 * stack as it is. Not to be called inside the library's own call; afterwards the store may be closed.
 *
 * The function may do everything but yield. Calls that it makes on the same store are not reported inside themselves:
 * their events come after those that wait, and what happens in the calls that it makes for them is not reported.
 * Where it raises, the others are delivered all the same, and one event says so.
 */
void convstore__lua_log(lua_State *L, struct store *store);

/* Makes what this file keeps in the registry. */
void convstore__lua_open_log(lua_State *L);

#endif
