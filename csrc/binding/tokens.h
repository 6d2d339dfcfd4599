/* The program's own count of tokens, the option count_tokens. Knows the handle that it is asked of, no operation. */
#ifndef CONVSTORE_BINDING_TOKENS_H
#define CONVSTORE_BINDING_TOKENS_H

#include "handles.h"

/*
 * Calls the count_tokens of the conversation's store, which must have one, with the message at the top, which it pops.
 * The conversation is at 1. What the function raises, or a wrong answer, raises.
 */
int64_t convstore__lua_count_tokens(lua_State *L);

#endif
