/*
 * UTF-8, strictly by RFC 3629, NUL refused. It knows no field names and no limits.
 * A table-free check of one sequence at a time, behind a path that takes ASCII eight bytes at once.
 */
#include "text.h"

#include <stdint.h>
#include <string.h>

/* True where none of the eight bytes is NUL or beyond ASCII. Less one, a byte from 0x01 to 0x7F keeps its
 * high bit clear and borrows nothing, and a NUL sets it; so one mask sees both. */
static bool is_plain(const unsigned char *s) {
  uint64_t word;
  memcpy(&word, s, sizeof word);
  return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_tail(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

/* The length of the sequence at `s`, of which `n` >= 1 bytes are there; 0 if it is bad. */
static size_t sequence(const unsigned char *s, size_t n) {
  if (s[0] < 0x80) return s[0] != 0;
  if (s[0] < 0xC2) /* a stray tail, or an overlong form of ASCII */
    return 0;
  if (s[0] < 0xE0) return n >= 2 && is_tail(s[1]) ? 2 : 0;
  if (s[0] < 0xF0) {
    if (n < 3 || !is_tail(s[1]) || !is_tail(s[2])) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) /* overlong; a surrogate */
      return 0;
    return 3;
  }
  if (s[0] > 0xF4 || n < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3])) return 0;
  if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) /* overlong; beyond U+10FFFF */
    return 0;
  return 4;
}

size_t convstore__utf8_check(const char *data, size_t size) {
  const unsigned char *s = (const unsigned char *)data;
  size_t i = 0;
  while (i < size) {
    if (size - i >= 8 && is_plain(s + i)) {
      i += 8;
      continue;
    }
    /* Through what the word held, and through any text in another script, without looking at the word again.
     * */
    do {
      size_t length = sequence(s + i, size - i);
      if (length == 0) return i;
      i += length;
    } while (i < size && (s[i] >= 0x80 || size - i < 8));
  }
  return size;
}

int convstore__utf8_replace(convstore_text *text, struct convstore_arena *arena) {
  static const char replacement[] = {'\xEF', '\xBF', '\xBD'};
  if (!text->data) return CONVSTORE_OK;
  size_t n_bad = 0;
  for (size_t i = 0; (i += convstore__utf8_check(text->data + i, text->size - i)) < text->size; i++) n_bad++;
  if (n_bad == 0) return CONVSTORE_OK;
  if (n_bad > (SIZE_MAX - text->size) / 2 - 1) return CONVSTORE_E_MEMORY;

  size_t size = text->size + n_bad * (sizeof replacement - 1);
  char *copy = convstore__arena_alloc(arena, size + 1);
  if (!copy) return CONVSTORE_E_MEMORY;
  char *to = copy;
  for (size_t i = 0; i < text->size;) {
    size_t n_good = convstore__utf8_check(text->data + i, text->size - i);
    memcpy(to, text->data + i, n_good);
    to += n_good;
    i += n_good;
    if (i < text->size) {
      memcpy(to, replacement, sizeof replacement);
      to += sizeof replacement;
      i++;
    }
  }
  *to = '\0';
  *text = (convstore_text){.data = copy, .size = size};
  return CONVSTORE_OK;
}

size_t convstore__utf8_cut(const char *data, size_t size, size_t limit) {
  if (size <= limit) return size;
  while (limit > 0 && is_tail((unsigned char)data[limit])) limit--;
  return limit;
}
