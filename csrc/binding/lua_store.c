/* Stores: opening one, its options, its schema, and the users in it. It knows no conversation. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/text.h"
#include "arguments.h"
#include "call.h"
#include "log.h"
#include "terminal.h"

#define DEFAULT_SLOW_MS 1000

/* What open's options fill in; `store` is the stack index of the store being opened. */
struct opening {
  convstore_options options;
  convstore_text users;
  convstore_text schema;
  convstore_text role;
  convstore_text operator_role;
  convstore_text jwt_claim;
  int64_t max_content_bytes;
  int64_t slow_ms;
  int store;
};

static void take_migrate(struct arguments *args, const struct field *field, void *slot) {
  bool always = false;
  convstore__lua_take_boolean(args, field, &always);
  *(convstore_migrate *)slot = always ? CONVSTORE_MIGRATE_ALWAYS : CONVSTORE_MIGRATE_NEVER;
}

/* One of two words: false for the first. */
static void take_word(struct arguments *args, const struct field *field, bool *slot, const char *no,
                      const char *yes) {
  convstore_text word = {NULL, 0};
  convstore__lua_take_text(args, field, &word);
  *slot = convstore__lua_same(word, yes);
  if (!*slot && !convstore__lua_same(word, no)) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "option %s must be \"%s\" or \"%s\"",
                   field->name, no, yes);
  }
}

static void take_durability(struct arguments *args, const struct field *field, void *slot) {
  take_word(args, field, slot, "full", "normal");
}

static void take_text_mode(struct arguments *args, const struct field *field, void *slot) {
  take_word(args, field, slot, "strict", "replace");
}

static void take_timeout(struct arguments *args, const struct field *field, void *slot) {
  static const lua_Number most =
      2147483.0; /* seconds: as milliseconds they fit into an int everywhere below */
  lua_Number seconds;
  if (lua_type(args->L, -1) != LUA_TNUMBER) convstore__lua_type_error(args, field, "number");
  seconds = lua_tonumber(args->L, -1);
  if (seconds > 0 && seconds <= most) {
    *(int64_t *)slot = (int64_t)ceil(seconds * 1000.0);
  } else {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID,
                   "option timeout must be above 0 and at most 2147483 seconds");
  }
}

static void take_count_tokens(struct arguments *args, const struct field *field, void *slot) {
  const struct opening *opening = slot;
  if (!lua_isfunction(args->L, -1)) convstore__lua_type_error(args, field, "function");
  lua_pushvalue(args->L, -1);
  lua_setiuservalue(args->L, opening->store, STORE_COUNT_TOKENS);
}

static void take_log(struct arguments *args, const struct field *field, void *slot) {
  const struct opening *opening = slot;
  if (!lua_isfunction(args->L, -1)) convstore__lua_type_error(args, field, "function");
  lua_pushvalue(args->L, -1);
  lua_setiuservalue(args->L, opening->store, STORE_LOG);
}

/* A role's name, or false for none. */
static void take_role(struct arguments *args, const struct field *field, void *slot) {
  struct opening *opening = slot;
  if (lua_isboolean(args->L, -1) && !lua_toboolean(args->L, -1)) {
    opening->options.no_role = true;
  } else if (lua_type(args->L, -1) == LUA_TSTRING) {
    convstore__lua_take_text(args, field, &opening->role);
  } else {
    convstore__lua_type_error(args, field, "string or false");
  }
}

static void take_prepare(struct arguments *args, const struct field *field, void *slot) {
  convstore_text word = {NULL, 0};
  if (lua_isboolean(args->L, -1)) {
    *(convstore_prepare *)slot =
        lua_toboolean(args->L, -1) ? CONVSTORE_PREPARE_ALWAYS : CONVSTORE_PREPARE_NEVER;
    return;
  }
  if (lua_type(args->L, -1) != LUA_TSTRING) {
    convstore__lua_type_error(args, field, "boolean or \"auto\"");
  }
  convstore__lua_take_text(args, field, &word);
  if (!convstore__lua_same(word, "auto")) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID,
                   "option %s must be true, false or \"auto\"", field->name);
  }
}

static const struct field open_options[] = {
    FIELD("migrate", take_migrate, struct opening, options.migrate),
    FIELD("durability", take_durability, struct opening, options.durability_normal),
    FIELD("timeout", take_timeout, struct opening, options.timeout_ms),
    FIELD("text", take_text_mode, struct opening, options.replace_text),
    FIELD("readonly", convstore__lua_take_boolean, struct opening, options.readonly),
    FIELD("max_content_bytes", convstore__lua_take_integer, struct opening, max_content_bytes),
    FIELD_OF("count_tokens", take_count_tokens),
    FIELD_OF("log", take_log),
    FIELD("slow_ms", convstore__lua_take_integer, struct opening, slow_ms),
    FIELD("users", convstore__lua_take_text, struct opening, users),
    FIELD("schema", convstore__lua_take_text, struct opening, schema),
    FIELD_OF("role", take_role),
    FIELD("operator_role", convstore__lua_take_text, struct opening, operator_role),
    FIELD("jwt_claim", convstore__lua_take_text, struct opening, jwt_claim),
    FIELD("prepare", take_prepare, struct opening, options.prepare),
    FIELDS_END,
};

/* A text as an ended string; a NUL byte would end it early. */
static const char *ended(struct arguments *args, convstore_text text, const char *name) {
  if (text.data != NULL && memchr(text.data, '\0', text.size) != NULL) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "%s holds a NUL byte", name);
  }
  return text.data;
}

/* What C's ended strings and zero for "default" would hide. */
static void check_opening(struct arguments *args, struct opening *opening, convstore_text dsn) {
  convstore_options *options = &opening->options;
  (void)ended(args, dsn, "dsn");
  options->users = ended(args, opening->users, "option users");
  options->schema = ended(args, opening->schema, "option schema");
  options->role = ended(args, opening->role, "option role");
  options->operator_role = ended(args, opening->operator_role, "option operator_role");
  options->jwt_claim = ended(args, opening->jwt_claim, "option jwt_claim");
  if (opening->max_content_bytes < 1 || opening->max_content_bytes > CONVSTORE_MAX_CONTENT) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID,
                   "option max_content_bytes must be 1 to %d", CONVSTORE_MAX_CONTENT);
  }
  options->max_content_bytes = opening->max_content_bytes;
  if (opening->slow_ms < 0) {
    convstore_fail(convstore__lua_report(args), CONVSTORE_E_INVALID, "option slow_ms must be 0 or more");
  }
  options->slow_ms = opening->slow_ms == 0 ? -1 : opening->slow_ms;
}

/*
 * Without an argument the environment's CONVSTORE_DSN; a variable that is set to nothing counts as not set.
 */
static const char *default_dsn(void) {
  const char *dsn = getenv("CONVSTORE_DSN");
  return dsn != NULL && *dsn != '\0' ? dsn : "convstore.db";
}

/* Blocks up to the timeout. */
int convstore__lua_open(lua_State *L) {
  struct arguments args = {.L = L, .arg = 2, .noun = "option"};
  struct opening opening = {
      .max_content_bytes = CONVSTORE_DEFAULT_CONTENT, .slow_ms = DEFAULT_SLOW_MS, .store = 3};
  convstore_text dsn = {NULL, 0};
  struct store *store;
  int status;
  lua_settop(L, 2);
  if (!lua_isnil(L, 1)) {
    dsn = convstore__lua_check_text(L, 1);
  }
  store = lua_newuserdatauv(L, sizeof *store, STORE_USER_VALUES);
  *store = (struct store){.handle = NULL};
  luaL_setmetatable(L, STORE_TYPE);
  convstore__lua_read_optional(&args, open_options, &opening);
  check_opening(&args, &opening, dsn);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  opening.options.interrupt = convstore__lua_interrupt();
  opening.options.events = convstore__lua_log_start(L, 3);
  status = convstore_open(&store->handle, dsn.data != NULL ? dsn.data : default_dsn(), &opening.options,
                          &args.err);
  convstore__lua_log(L, store);
  if (status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  store->max_content_bytes = (size_t)opening.max_content_bytes;
  store->counts_tokens = lua_getiuservalue(L, 3, STORE_COUNT_TOKENS) == LUA_TFUNCTION;
  lua_pushvalue(L, 3);
  return 1;
}

static void close_store(lua_State *L, struct store *store) {
  convstore *handle = store->handle;
  store->handle = NULL; /* first, so that nothing finds a handle that is being closed */
  convstore_close(handle);
  if (handle != NULL) convstore__lua_disown(L, store);
}

/* store:close() -> true. Also __close; a transaction that is open is rolled back. */
static int l_close(lua_State *L) {
  struct store *store = luaL_checkudata(L, 1, STORE_TYPE);
  close_store(L, store);
  convstore__lua_log(L, store);
  lua_pushboolean(L, 1);
  return 1;
}

/* The same without a word to the log: a finalizer comes at any time, and nobody misses the store. */
static int l_gc(lua_State *L) {
  close_store(L, luaL_checkudata(L, 1, STORE_TYPE));
  return 0;
}

static int l_tostring(lua_State *L) {
  const struct store *store = luaL_checkudata(L, 1, STORE_TYPE);
  if (store->handle == NULL) {
    lua_pushliteral(L, STORE_TYPE " (closed)");
  } else {
    lua_pushfstring(L, STORE_TYPE ": %p", (const void *)store);
  }
  return 1;
}

static int l_newindex(lua_State *L) {
  return luaL_error(L, "a field of a store cannot be assigned");
}

/* store:schema_version() -> the schema's version, the newest known one. */
static int l_schema_version(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  struct answer *answer;
  request.operation = CONVSTORE_SCHEMA_VERSION;
  answer = convstore__lua_run(L, store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  lua_pushinteger(L, answer->result.schema_version);
  lua_pushinteger(L, answer->result.newest_version);
  convstore__lua_answer_done(L, -3);
  return 2;
}

/* store:migrate([target]) -> the version now. */
static int l_migrate(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  struct answer *answer;
  request.operation = CONVSTORE_MIGRATE;
  if (!lua_isnoneornil(L, 2)) {
    request.target = convstore__lua_check_integer(L, 2);
  }
  answer = convstore__lua_run(L, store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  lua_pushinteger(L, answer->result.schema_version);
  convstore__lua_answer_done(L, -2);
  return 1;
}

/* store:migrations() -> array of { version=, name=, applied_at=, up=, down= }. */
static int l_migrations(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err;
  struct answer *answer;
  request.operation = CONVSTORE_MIGRATIONS;
  answer = convstore__lua_run(L, store, &request, &err);
  if (answer == NULL) return convstore__lua_fail(L, &err);
  lua_createtable(L, (int)answer->result.n_migrations, 0);
  for (size_t i = 0; i < answer->result.n_migrations; i++) {
    const convstore_migration *step = &answer->result.migrations[i];
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, step->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, step->name);
    lua_setfield(L, -2, "name");
    if (step->applied_at_ms != CONVSTORE_ABSENT) {
      lua_pushinteger(L, step->applied_at_ms);
      lua_setfield(L, -2, "applied_at");
    }
    lua_pushstring(L, step->up);
    lua_setfield(L, -2, "up");
    lua_pushstring(L, step->down);
    lua_setfield(L, -2, "down");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  convstore__lua_answer_done(L, -2);
  return 1;
}

/* store:user(id) -> a user handle. No I/O. Raises for an id that can be nobody's. */
static int l_user(lua_State *L) {
  struct store *store = convstore__lua_store(L, 1);
  struct user *user;
  convstore_text id;
  int64_t number;
  if (convstore__lua_integer(L, 2, &number)) {
    lua_pushfstring(L, "%I", (LUAI_UACINT)number);
    id = convstore__lua_text(L, -1);
  } else if (lua_type(L, 2) == LUA_TSTRING) {
    id = convstore__lua_text(L, 2);
  } else {
    return luaL_typeerror(L, 2, "string or integer");
  }
  if (id.size < 1 || id.size > CONVSTORE_MAX_USER_ID) {
    return luaL_argerror(L, 2, "a user id has 1 to 255 bytes");
  }
  if (convstore__utf8_check(id.data, id.size) != id.size) {
    return luaL_argerror(L, 2, "a user id is UTF-8 without NUL bytes");
  }
  user = lua_newuserdatauv(L, sizeof *user + id.size, USER_USER_VALUES);
  user->store = store;
  user->closed = false;
  user->n_id = id.size;
  memcpy(user->id, id.data, id.size);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, CHILD_STORE);
  luaL_setmetatable(L, USER_TYPE);
  return 1;
}

void convstore__lua_open_store(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", l_close},
                                         {"__gc", l_gc},
                                         {"__newindex", l_newindex},
                                         {"__tostring", l_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_close},
                                     {"migrate", l_migrate},
                                     {"migrations", l_migrations},
                                     {"schema_version", l_schema_version},
                                     {"user", l_user},
                                     {NULL, NULL}};
  convstore__lua_new_type(L, STORE_TYPE, "store", metamethods, methods, NULL);
}
