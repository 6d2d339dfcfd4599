/* What a message says, as plain text: what is searched and shown of it. Knows JSON, no tokens. */
#ifndef CONVSTORE_CORE_PLAIN_H
#define CONVSTORE_CORE_PLAIN_H

#include "../convstore.h"

/*
 * The content as it is, or the strings "text" of the parts, joined by newlines; absent: there is neither, or no
 * part has one. *owned is what to free() afterwards, or NULL. A text of parts that is no JSON says nothing: one
 * damaged message must not keep its user from searching the others. E_MEMORY.
 */
int convstore__plain(convstore_text *out, char **owned, convstore_text content, convstore_text parts,
                     convstore_error *err);

#endif
