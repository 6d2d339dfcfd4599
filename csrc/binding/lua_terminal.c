/* What the command needs of the operating system and Lua has not: terminals, and Ctrl-C at a time that suits. It knows
 * no store. Nothing is kept here: the signal mask is the process's own. */
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "terminal.h"

enum {
  USUAL_COLUMNS = 80 /* of a terminal that does not say */
};

/* terminal(fd) -> how many columns it shows, or false where the descriptor is no terminal. */
static int l_terminal(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  int columns = USUAL_COLUMNS;
#ifdef TIOCGWINSZ
  struct winsize size = {0};
  if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) columns = size.ws_col;
#endif
  if (isatty(fd))
    lua_pushinteger(L, columns);
  else
    lua_pushboolean(L, 0);
  return 1;
}

/*
 * hold_interrupts(hold): while held, Ctrl-C waits. On release the signal that came meanwhile is delivered before this
 * returns, so that what was done until then is done whole and has been counted.
 */
static int l_hold_interrupts(lua_State *L) {
  sigset_t interrupt;
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  if (pthread_sigmask(lua_toboolean(L, 1) ? SIG_BLOCK : SIG_UNBLOCK, &interrupt, NULL) != 0)
    return luaL_error(L, "the signal mask cannot be changed");
  return 0;
}

const luaL_Reg convstore__lua_terminal_functions[] = {
    {"hold_interrupts", l_hold_interrupts}, {"terminal", l_terminal}, {NULL, NULL}};
