/*
 * Cursors: where a page ended, as an opaque text for the caller to hand back. Knows no database.
 *
 * A cursor holds the values of the last row, not an offset, so rows that come and go between two pages neither repeat
 * nor hide others. It carries a hash over itself, the user and every option that chooses rows or their order: one that
 * was cut, changed, or given to another call is refused instead of giving a page that means nothing. The hash's key is
 * no secret: what a forged cursor could reach is the user's own, since each statement carries the user_id; that of a
 * list of users reaches what its caller may see anyway.
 */
#ifndef CONVSTORE_CORE_CURSOR_H
#define CONVSTORE_CORE_CURSOR_H

#include "../convstore.h"

/*
 * Decodes request->cursor into request->position; without one, position becomes the place ahead of the first row
 * (`set` is false then). The other options must be in their final form, as they will be for convstore__cursor_write().
 * E_INVALID: not ours, changed, or of another call, user or choice of options; `limit` may differ.
 */
int convstore__cursor_read(convstore_request *request, convstore_error *err);

/* Encodes a position as the cursor of the next page, in the result's arena. E_MEMORY. */
int convstore__cursor_write(convstore_text *out, const convstore_request *request,
                            const convstore_position *position, convstore_result *result,
                            convstore_error *err);

#endif
