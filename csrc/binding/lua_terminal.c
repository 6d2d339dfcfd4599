/* What the command needs of the operating system and Lua has not: terminals, a clock, files, and a Ctrl-C that ends
 * calls. It knows no store. What is kept here belongs to the process, as its signals do. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <time.h>
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

/* now() -> milliseconds since 1970-01-01 UTC. */
static int l_now(lua_State *L) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return luaL_error(L, "no clock: %s", strerror(errno));
  lua_pushinteger(L, (lua_Integer)now.tv_sec * 1000 + now.tv_nsec / 1000000);
  return 1;
}

/* exists(path) -> false where there is no such file. Opens nothing, so nothing waits. */
static int l_exists(lua_State *L) {
  struct stat info;
  lua_pushboolean(L, stat(luaL_checkstring(L, 1), &info) == 0 || errno != ENOENT);
  return 1;
}

static convstore_interrupt interrupt;
static bool catches;

static void on_interrupt(int signal) {
  (void)signal;
  convstore_interrupt_raise(&interrupt);
}

/*
 * catch_interrupts(): from now on Ctrl-C ends what a store that is opened later waits for, and is known by
 * interrupted(). What else waits, as for a key, fails with EINTR. A second Ctrl-C ends the process.
 */
static int l_catch_interrupts(lua_State *L) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  catches = true;
  if (sigaction(SIGINT, &action, NULL) != 0) return luaL_error(L, "no signal handler: %s", strerror(errno));
  return 0;
}

/* await_input() -> true when standard input can be read, false when Ctrl-C has come. A read alone would not see one
 * that came just before it. */
static int l_await_input(lua_State *L) {
  sigset_t block;
  sigset_t before;
  int n = 0;
  sigemptyset(&block);
  sigaddset(&block, SIGINT);
  (void)pthread_sigmask(SIG_BLOCK, &block, &before);
  while (n <= 0 && !convstore_interrupt_is_raised(&interrupt)) {
    fd_set input;
    FD_ZERO(&input);
    FD_SET(STDIN_FILENO, &input);
    n = pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, &before);
    if (n < 0 && errno != EINTR) break;
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  lua_pushboolean(L, !convstore_interrupt_is_raised(&interrupt));
  return 1;
}

/* interrupted() -> whether Ctrl-C came. */
static int l_interrupted(lua_State *L) {
  lua_pushboolean(L, convstore_interrupt_is_raised(&interrupt));
  return 1;
}

const convstore_interrupt *convstore__lua_interrupt(void) {
  return catches ? &interrupt : NULL;
}

const luaL_Reg convstore__lua_terminal_functions[] = {{"await_input", l_await_input},
                                                      {"catch_interrupts", l_catch_interrupts},
                                                      {"exists", l_exists},
                                                      {"interrupted", l_interrupted},
                                                      {"now", l_now},
                                                      {"terminal", l_terminal},
                                                      {NULL, NULL}};
