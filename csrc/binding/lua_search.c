/* Searching a user's messages. What finds and ranks is the core's. */
#include "arguments.h"
#include "call.h"
#include "push.h"

static const struct field search_options[] = {
    FIELD("limit", convstore__lua_take_integer, convstore_request, limit),
    FIELD("cursor", convstore__lua_take_text, convstore_request, cursor),
    FIELD("role", convstore__lua_take_roles, convstore_request, roles),
    FIELD("conversation_id", convstore__lua_take_id, convstore_request, conversation_id),
    FIELD("since", convstore__lua_take_integer, convstore_request, since_ms),
    FIELD("before", convstore__lua_take_integer, convstore_request, before_ms),
    FIELDS_END,
};

/* user:search(text [, options]) -> array of hits, best first, and a cursor where there is more. */
static int l_search(lua_State *L) {
  struct user *user = convstore__lua_user(L, 1);
  struct arguments args = {.L = L, .arg = 3, .noun = "option"};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = CONVSTORE_SEARCH;
  request.user_id = (convstore_text){user->id, user->n_id};
  request.text = convstore__lua_check_text(L, 2);
  lua_settop(L, 3);
  convstore__lua_read_optional(&args, search_options, &request);
  if (args.err.status != CONVSTORE_OK) return convstore__lua_fail(L, &args.err);
  if (convstore__lua_run(L, user->store, &request, &args.err) == NULL)
    return convstore__lua_fail(L, &args.err);
  return convstore__lua_push_hits_page(L, lua_gettop(L));
}

const luaL_Reg convstore__lua_search_methods[] = {{"search", l_search}, {NULL, NULL}};
