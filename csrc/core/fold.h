/*
 * Text to tokens: what search takes for one word, whatever its case, accents and width. Knows no messages, no
 * queries and no index; fold.c is the only file that includes utf8proc.h.
 *
 * A token is one character, with the marks on it, of a script that is written without spaces (Chinese, Japanese,
 * Korean, Thai, Lao, Khmer, Burmese), or else a longest run of letters, digits and marks. Everything else
 * separates. Terms are compatibility-decomposed and case-folded, without diacritics and what is ignorable. They
 * stay decomposed, except for Hangul: composing them again would make no other terms equal.
 *
 * An iterator of bounded memory instead of a list of tokens, because a text may be 16 MiB.
 */
#ifndef CONVSTORE_CORE_FOLD_H
#define CONVSTORE_CORE_FOLD_H

#include "../convstore.h"

enum {
  CONVSTORE_TERM_SIZE = 64, /* bytes of the longest term */
  CONVSTORE_FOLDED = 96     /* room for characters that are read ahead */
};

struct convstore_folded {
  int32_t code;
  uint8_t order; /* the canonical combining class */
  uint8_t kind;
  size_t start, end; /* the bytes that it was made of */
};

struct convstore_tokens {
  /* The token that next() found: its term, not NUL-ended; its place; its bytes in the text. A term that would be
   * longer is cut at a character and ends with a hash of all of it. */
  char term[CONVSTORE_TERM_SIZE];
  size_t size;
  uint32_t index; /* 1, 2, 3 ... */
  bool glued;     /* nothing separates it from the token before */
  size_t start, end;

  /* Its own. */
  const unsigned char *text;
  size_t text_size;
  size_t at;
  bool overlong;
  uint64_t hash; /* of an overlong term so far */
  size_t head, n_queue;
  struct convstore_folded queue[CONVSTORE_FOLDED];
};

/* Begins a text, which stays the caller's. Bytes that are no UTF-8 separate. */
void convstore__tokens_start(struct convstore_tokens *tokens, convstore_text text);

/* Goes to the next token; false: there is none. */
bool convstore__tokens_next(struct convstore_tokens *tokens);

/* The bytes of the white space character at `s`, of which `size` bytes are there; 0: it is another one. */
size_t convstore__space(const char *s, size_t size);

#endif
