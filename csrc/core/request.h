/*
 * The law on requests: what may be asked, and what is filled in where the caller left it out.
 * It knows no storage. Everything is checked here, before a transaction begins, so a refusal costs the database
 * nothing.
 */
#ifndef CONVSTORE_CORE_REQUEST_H
#define CONVSTORE_CORE_REQUEST_H

#include "backend.h"

/*
 * Validates `asked` and makes *out of it: a copy whose texts are UTF-8 (replaced where the options say so), whose
 * messages are an array of the result's own with ids, times and token counts filled in. Ids that were "" are written
 * back to `asked`, so that a caller may try again. Texts still borrow from `asked`; what had to change lies in the
 * result's arena. E_INVALID, E_TOO_LARGE, E_MEMORY.
 */
int convstore__request_prepare(convstore_request *out, convstore_request *asked,
                               const convstore_options *options, convstore_user_id_type user_id_type,
                               int64_t now_ms, convstore_result *result, convstore_error *err);

#endif
