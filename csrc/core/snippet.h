/*
 * What a search shows of a message: some of its text around the matches, as HTML. Knows tokens and units, no
 * messages and no index: the text is read again, and the same units match in it.
 */
#ifndef CONVSTORE_CORE_SNIPPET_H
#define CONVSTORE_CORE_SNIPPET_H

#include "query.h"

enum {
  CONVSTORE_SNIPPET_UNITS = 32, /* the first ones of a query are shown */
  CONVSTORE_SNIPPET = 160       /* characters, about */
};

/*
 * About CONVSTORE_SNIPPET characters of the text where most of the query's units occur close together: matches in
 * <b>...</b>, the rest escaped, white space as one space, "…" where text was left out. Empty for an absent text.
 * Linear time. *out comes from `arena`. E_MEMORY.
 */
int convstore__snippet(convstore_text *out, const struct convstore_query *query, convstore_text text,
                       struct convstore_arena *arena, convstore_error *err);

#endif
