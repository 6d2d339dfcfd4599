/*
 * UTF-8: is it, and if it must be, make it so. Knows no field names and no limits.
 * NUL counts as a bad byte everywhere: PostgreSQL cannot store it, so no backend may.
 */
#ifndef CONVSTORE_CORE_TEXT_H
#define CONVSTORE_CORE_TEXT_H

#include "arena.h"

/* The offset of the first bad byte (NUL, stray, overlong, surrogate, beyond U+10FFFF, truncated), or `size` if none.
 * Eight bytes of ASCII at a time, since most of what is stored is. */
size_t convstore__utf8_check(const char *data, size_t size);

/* *text becomes a copy from `arena` in which each bad byte is U+FFFD, if it has any; else it stays as it is.
 * A truncated sequence gives one U+FFFD for each of its bytes. E_MEMORY. */
int convstore__utf8_replace(convstore_text *text, struct convstore_arena *arena);

/* The longest prefix of at most `limit` bytes of valid UTF-8 that ends at a whole character. */
size_t convstore__utf8_cut(const char *data, size_t size, size_t limit);

#endif
