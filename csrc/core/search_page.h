/* A page of what a search found, as both databases put it together. Knows no storage. */
#ifndef CONVSTORE_CORE_SEARCH_PAGE_H
#define CONVSTORE_CORE_SEARCH_PAGE_H

#include "backend.h"
#include "search.h"

/* Makes room in the result for up to `n` hits; there are none yet. E_MEMORY. */
int convstore__search_page(convstore_result *result, size_t n, convstore_error *err);

/* Adds one; `message` is copied, its texts are the result's already. E_MEMORY. */
int convstore__search_add_hit(const struct convstore_search *search,
                              const struct convstore_candidate *candidate, convstore_text title,
                              const convstore_message *message, struct convstore_call *call);

/* There is more behind `last`: the cursor says where. E_MEMORY. */
int convstore__search_cursor(const struct convstore_search *search, const struct convstore_candidate *last,
                             struct convstore_call *call);

#endif
