/* Functions of the module for the command convstore; see lua_terminal.c. Programs that use the library need none. */
#ifndef CONVSTORE_BINDING_TERMINAL_H
#define CONVSTORE_BINDING_TERMINAL_H

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg convstore__lua_terminal_functions[];

#endif
