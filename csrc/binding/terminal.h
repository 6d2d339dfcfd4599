/* Functions of the module for the command convstore; see lua_terminal.c. Programs that use the library need none. */
#ifndef CONVSTORE_BINDING_TERMINAL_H
#define CONVSTORE_BINDING_TERMINAL_H

#include <lauxlib.h>
#include <lua.h>

#include "../convstore.h"

/* What Ctrl-C raises; NULL: this process does not catch it. */
const convstore_interrupt *convstore__lua_interrupt(void);

extern const luaL_Reg convstore__lua_terminal_functions[];

#endif
