/*
 * What a failed allocation does to a Lua program that uses the module, at each place where one is made: in Lua, in the
 * binding, in the library, in jansson, in SQLite, in libpq. Each case of lua_out_of_memory.lua is run in a new Lua
 * state again and again, and in the k-th run the k-th allocation fails; or it and the next one, since Lua collects its
 * garbage and tries once more; or it and all after it. Then Lua's memory error must have come, or a good end; no
 * transaction may be open, the same case must succeed in the same state, the database must be sound, and nothing may
 * leak.
 *
 * `make oom` tries every k; `make test` some. On PostgreSQL where CONVSTORE_TEST_POSTGRES_URL names a server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <sqlite3.h>

#include "../convstore.h"
#include "check.h"
#include "failing_memory.h"
#include "own_malloc.h"
#include "support.h"

#define SCRIPT "csrc/tests/lua_out_of_memory.lua"

int luaopen_convstore_core(lua_State *L);

/* The database at hand: a file of our own, or the server's, where runs keep apart by `tag`. */
static struct {
  const char *dsn;
  const char *schema; /* NULL: SQLite */
  int64_t tag;
  int64_t n_runs, n_faults;
} database;

/* ---- the Lua side ---- */

/* In protected mode, without faults: leaves the script's table at stack index 1. */
static int l_load(lua_State *L) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_convstore_core);
  lua_setfield(L, -2, "convstore.core");
  lua_getglobal(L, "package");
  lua_pushliteral(L, "lua/?.lua;lua/?/init.lua");
  lua_setfield(L, -2, "path");
  if (luaL_loadfile(L, SCRIPT) != LUA_OK) return lua_error(L);
  lua_pushstring(L, database.dsn);
  lua_newtable(L);
  lua_pushnumber(L, 20);
  lua_setfield(L, -2, "timeout");
  lua_pushliteral(L, "normal");
  lua_setfield(L, -2, "durability");
  if (database.schema) {
    lua_pushstring(L, database.schema);
    lua_setfield(L, -2, "schema");
  }
  if (database.schema) database.tag++;
  lua_pushfstring(L, "%I", (LUAI_UACINT)database.tag);
  lua_call(L, 3, 1);
  return 1;
}

/* The state with the script's table on its stack; NULL after a failed check. */
static lua_State *new_state(void) {
  lua_State *L = lua_newstate(memory_lua, NULL);
  if (!CHECK(L != NULL)) return NULL;
  lua_pushcfunction(L, l_load);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) return L;
  CHECK_STRING(lua_tostring(L, -1), NULL);
  lua_close(L);
  return NULL;
}

/* Calls the script's function `name`; its result at the top. False after a failed check. */
static bool call(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) return true;
  CHECK_STRING(luaL_tolstring(L, -1, NULL), NULL);
  return false;
}

/* The script's case number `i`, from 1: its field, at the top. */
static int push_case(lua_State *L, int i, const char *field) {
  lua_getfield(L, 1, "cases");
  lua_rawgeti(L, -1, i);
  int type = lua_getfield(L, -1, field);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return type;
}

/* What was raised, as text: of a failed call its message. */
static const char *raised(lua_State *L) {
  if (lua_istable(L, -1)) lua_getfield(L, -1, "message");
  return luaL_tolstring(L, -1, NULL);
}

/* ---- one run ---- */

struct run {
  int which; /* case */
  char name[64];
  int64_t failing, n_failing;
};

/* Whoever is asked first ends what a failure has left; then a second connection can write. */
static void check_no_transaction(lua_State *L) {
  if (database.schema) return; /* the case, run again, would wait for it */
  sqlite3 *db = NULL;
  lua_gc(L, LUA_GCCOLLECT);
  CHECK_INT(sqlite3_open(database.dsn, &db), SQLITE_OK);
  CHECK_INT(sqlite3_exec(db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

/* The case with its environment at index 2, without faults. */
static bool run_again(lua_State *L, int which) {
  push_case(L, which, "run");
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  CHECK_STRING(raised(L), "no error when it is run again");
  return false;
}

static void check_sound(lua_State *L) {
  static const char source[] =
      "local store = ... local problems = assert(store:check())"
      "if #problems > 0 then error(problems[1].problem .. ': ' .. problems[1].detail) end";
  CHECK_INT(luaL_loadstring(L, source), LUA_OK);
  lua_getfield(L, 2, "store");
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) CHECK_STRING(luaL_tolstring(L, -1, NULL), "a sound database");
}

/* False: the run made fewer allocations, and succeeded. */
static bool run_once(const struct run *run, bool sound) {
  struct memory_live before = memory_live();
  bool hit = false;
  check_doing("%s, allocation %lld and %lld more", run->name, (long long)run->failing,
              (long long)run->n_failing - 1);
  lua_State *L = new_state();
  if (!L) return false;
  if (call(L, "prepare")) { /* the environment, at index 2 */
    push_case(L, run->which, "run");
    lua_pushvalue(L, 2);
    memory_arm(run->failing, run->n_failing);
    int status = lua_pcall(L, 1, 0, 0);
    memory_disarm();
    hit = memory_has_failed();
    database.n_runs++;
    database.n_faults += hit;
    if (status != LUA_OK) {
      /* As Lua says it, alone or behind a place; of a stack that could not grow it says otherwise. A transaction that
       * could not be undone in part was undone as a whole, which its commit then says. */
      const char *message = raised(L);
      bool is_lost = strncmp(message, "unavailable: nothing was committed", 34) == 0;
      if (!is_lost && !strstr(message, "stack overflow")) CHECK_HAS(message, "not enough memory");
      CHECK(hit);
    }
    lua_settop(L, 2);
    if (run_again(L, run->which)) check_no_transaction(L);
    lua_settop(L, 2);
    if (sound) check_sound(L);
  }
  lua_close(L);
  struct memory_live now = memory_live();
  CHECK_INT(now.blocks, before.blocks);
  CHECK_INT(now.lua_blocks, before.lua_blocks);
  CHECK_INT(now.sqlite_bytes, before.sqlite_bytes);
  return hit;
}

/* ---- all of them ---- */

/* How many cases there are, and in `out` the name of case `i` and whether it runs alone. */
static int describe(int i, struct run *out, bool *alone) {
  lua_State *L = new_state();
  if (!L) return 0;
  lua_getfield(L, 1, "cases");
  int n = (int)lua_rawlen(L, -1);
  if (i <= n) {
    push_case(L, i, "name");
    (void)snprintf(out->name, sizeof out->name, "%s", lua_tostring(L, -1));
    push_case(L, i, "alone");
    *alone = lua_toboolean(L, -1);
  }
  out->which = i;
  lua_close(L);
  return n;
}

/* A database as a case finds it; on a server it is the same one throughout. */
static void fresh_database(void) {
  if (!database.schema) support_copy(database.dsn, support_path("original.db"));
}

/* Every CONVSTORE_TEST_OOM-th place; without it one in so many that this takes some seconds. */
static int64_t stride(void) {
  const char *wanted = getenv("CONVSTORE_TEST_OOM");
  int64_t n = wanted ? strtoll(wanted, NULL, 10) : 0;
  return n > 0 ? n : INT64_C(151) * check_stride();
}

static void sweep(int64_t n_failing) {
  struct run run = {.n_failing = n_failing};
  bool alone = false;
  for (int i = 1; i <= describe(i, &run, &alone) && !check_failed(); i++) {
    int64_t step = stride() * (alone ? 37 : 1), at = (int64_t)i % step; /* not the same places in all cases */
    bool hit = true;
    for (int64_t n = 0; hit && !check_failed() && n < 100000; n++, at += step) {
      run.failing = at;
      fresh_database();
      hit = run_once(&run, !database.schema || n % 16 == 0);
    }
    CHECK(!hit);
  }
}

/* Makes original.db, filled, and has it copied to where the runs are. */
static void use_sqlite(void) {
  database.dsn = support_path("original.db");
  database.schema = NULL;
  database.n_runs = database.n_faults = 0;
  (void)remove(database.dsn);
  lua_State *L = new_state();
  REQUIRE(L != NULL);
  CHECK(call(L, "prepare"));
  lua_close(L);
  database.dsn = support_path("copy.db");
  fresh_database();
}

static void print_figures(const char *where) {
  printf("%s: %lld runs, in %lld of them an allocation failed\n", where, (long long)database.n_runs,
         (long long)database.n_faults);
}

static void test_cases__call_every_function(void) {
  use_sqlite();
  lua_State *L = new_state();
  REQUIRE(L != NULL);
  if (call(L, "uncovered")) CHECK_STRING(lua_tostring(L, -1), "");
  lua_close(L);
}

static void use_postgres(const char *url) {
  static char schema[64];
  (void)snprintf(schema, sizeof schema, "convstore_oom_%ld", (long)getpid());
  database.dsn = url;
  database.schema = schema;
  database.n_runs = database.n_faults = 0;
}

static void migrate(int64_t target) {
  const convstore_options options = {.schema = database.schema, .migrate = CONVSTORE_MIGRATE_ALWAYS};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {.n_messages = 0};
  convstore *store = support_open(database.dsn, &options);
  request.operation = CONVSTORE_MIGRATE;
  request.target = target;
  if (store) CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  convstore_result_free(&result);
  convstore_close(store);
}

/* What is armed: the failing allocation and so many in all. */
static void sweep_sqlite(int64_t n_failing) {
  use_sqlite();
  sweep(n_failing);
  print_figures("SQLite");
}

static void sweep_postgres(int64_t n_failing) {
  const char *url = getenv("CONVSTORE_TEST_POSTGRES_URL");
  if (!url) {
    printf("nothing is tried on PostgreSQL: CONVSTORE_TEST_POSTGRES_URL names no server\n");
    return;
  }
  use_postgres(url);
  migrate(CONVSTORE_ABSENT);
  if (!own_malloc_take_libpq()) printf("libpq's own allocations do not fail here: malloc is not ours\n");
  sweep(n_failing);
  migrate(0);
  print_figures("PostgreSQL");
}

/* Lua collects its garbage and tries once more: mostly with success. */
static void test_sqlite__survives_one_failed_allocation(void) {
  sweep_sqlite(1);
}

static void test_sqlite__survives_two_failed_allocations(void) {
  sweep_sqlite(2);
}

static void test_sqlite__survives_memory_that_stays_full(void) {
  sweep_sqlite(MEMORY_ALL_AFTER);
}

static void test_postgres__survives_one_failed_allocation(void) {
  sweep_postgres(1);
}

static void test_postgres__survives_two_failed_allocations(void) {
  sweep_postgres(2);
}

static void test_postgres__survives_memory_that_stays_full(void) {
  sweep_postgres(MEMORY_ALL_AFTER);
}

static const struct check_test tests[] = {
    TEST(test_cases__call_every_function),
    TEST(test_sqlite__survives_one_failed_allocation),
    TEST(test_sqlite__survives_two_failed_allocations),
    TEST(test_sqlite__survives_memory_that_stays_full),
    TEST(test_postgres__survives_one_failed_allocation),
    TEST(test_postgres__survives_two_failed_allocations),
    TEST(test_postgres__survives_memory_that_stays_full),
};

int main(int argc, char **argv) {
  /* One of the functions waits until standard input can be read. */
  if (freopen("/dev/null", "r", stdin) == NULL || !memory_take()) {
    printf("SQLite refuses another allocator, or there is no /dev/null\n0 passed, 1 failed\n");
    return 1;
  }
  return check_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
