/*
 * Text to tokens, by utf8proc's tables. Knows no messages, no queries and no index.
 *
 * Characters go through a short queue: one character of the text may give several, and marks are put into canonical
 * order. ASCII runs and ideographs, which need neither, pass it by or are not looked up.
 */
#include "fold.h"

#include <string.h>

#include <utf8proc.h>

#include "text.h"

enum kind {
  SEPARATES,
  WORD,  /* one of a run */
  ALONE, /* a token of its own, with the marks that follow */
  MARK   /* belongs to what it follows */
};

enum {
  ONE_CHARACTER = 32, /* characters that one of the text gives; the most is 18, U+FDFA */
  KEPT_OF_OVERLONG = 48
};

struct range {
  int32_t first, last;
};

static bool is_in(const struct range *ranges, size_t n, int32_t code) {
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ranges[middle].last < code)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && code >= ranges[low].first;
}

#define IS_IN(ranges, code) is_in((ranges), sizeof(ranges) / sizeof *(ranges), (code))

/* What many leave out when they type: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowel signs. Not the
 * vowels and sound marks of other scripts, which make other words. */
static bool is_diacritic(int32_t code) {
  static const struct range diacritics[] = {
      {0x0300, 0x036F}, {0x0591, 0x05BD}, {0x05BF, 0x05BF}, {0x05C1, 0x05C2},
      {0x05C4, 0x05C5}, {0x05C7, 0x05C7}, {0x064B, 0x065F}, {0x0670, 0x0670},
      {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE20, 0xFE2F},
  };
  return IS_IN(diacritics, code);
}

/* Letters of scripts without spaces; which of these blocks' characters are letters says the category. */
static bool is_alone(int32_t code) {
  static const struct range scripts[] = {
      {0x0E00, 0x0EFF},   /* Thai, Lao */
      {0x1000, 0x109F},   /* Burmese */
      {0x1100, 0x11FF},   /* Hangul letters */
      {0x1780, 0x17FF},   /* Khmer */
      {0x2E80, 0x2FDF},   /* radicals */
      {0x3005, 0x3007},   /* iteration mark, closing mark, zero */
      {0x3021, 0x303C},   /* numerals, kana repeat marks */
      {0x3041, 0x31BF},   /* kana, Bopomofo, Hangul letters */
      {0x31F0, 0x31FF},   /* small kana */
      {0x3400, 0x4DBF},   /* ideographs */
      {0x4E00, 0x9FFF},   /* ideographs */
      {0xA960, 0xA97F},   /* old Hangul letters */
      {0xA9E0, 0xA9FF},   /* Burmese */
      {0xAA60, 0xAA7F},   /* Burmese */
      {0xAC00, 0xD7FF},   /* Hangul syllables, old letters */
      {0xF900, 0xFAFF},   /* ideographs */
      {0xFF66, 0xFFDC},   /* half-width kana and Hangul */
      {0x16FE0, 0x16FFF}, /* ideographic marks */
      {0x1AFF0, 0x1B16F}, /* kana */
      {0x20000, 0x3FFFD}, /* ideographs */
  };
  return IS_IN(scripts, code);
}

/* Ideographs and Hangul syllables that stand for themselves: most of Chinese and Korean text. */
static bool is_plain_alone(int32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0xAC00 && code <= 0xD7A3);
}

static bool is_ascii_word(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z');
}

static unsigned char lower(unsigned char byte) {
  return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

/* Letters with strokes, and ligatures that are letters: Unicode decomposes none of them. The second one, or 0. */
static int32_t undo_stroke(int32_t *code) {
  static const struct {
    int32_t from, to, second;
  } letters[] = {
      {0x00E6, 'a', 'e'}, {0x00F8, 'o', 0}, {0x0111, 'd', 0},   {0x0127, 'h', 0},
      {0x0131, 'i', 0},   {0x0142, 'l', 0}, {0x0153, 'o', 'e'}, {0x0167, 't', 0},
  };
  if (*code < 0x00E6 || *code > 0x0167) return 0;
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
    if (letters[i].from == *code) {
      *code = letters[i].to;
      return letters[i].second;
    }
  }
  return 0;
}

/* ---- characters ---- */

/* The character at `at`, and its length; a byte that begins none is -1. */
static int32_t decode(const unsigned char *s, size_t size, size_t *length) {
  utf8proc_int32_t code = -1;
  utf8proc_ssize_t n = utf8proc_iterate(s, size > 4 ? 4 : (utf8proc_ssize_t)size, &code);
  *length = n > 0 ? (size_t)n : 1;
  return n > 0 ? code : -1;
}

static struct convstore_folded *last_queued(struct convstore_tokens *tokens) {
  return tokens->n_queue > tokens->head ? &tokens->queue[tokens->n_queue - 1] : NULL;
}

static void push(struct convstore_tokens *tokens, int32_t code, enum kind kind, uint8_t order, size_t start,
                 size_t end) {
  size_t i = tokens->n_queue++;
  if (order > 0) { /* behind the marks that come before it in the canonical order */
    while (i > tokens->head && tokens->queue[i - 1].order > order) {
      tokens->queue[i] = tokens->queue[i - 1];
      i--;
    }
  }
  tokens->queue[i] = (struct convstore_folded){code, order, (uint8_t)kind, start, end};
}

/* Queues a character that is decomposed and case-folded. False: it was dropped. */
static bool push_folded(struct convstore_tokens *tokens, int32_t code, size_t start, size_t end) {
  if (is_diacritic(code)) return false;
  int32_t second = undo_stroke(&code);
  const utf8proc_property_t *property = utf8proc_get_property(code);
  utf8proc_propval_t category = property->category;
  enum kind kind = WORD;
  if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_NO)
    kind = SEPARATES;
  else if (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME)
    kind = MARK;
  else if (is_alone(code))
    kind = ALONE;
  push(tokens, code, kind, kind == MARK ? (uint8_t)property->combining_class : 0, start, end);
  if (second != 0) push(tokens, second, WORD, 0, start, end);
  return true;
}

/* Reads a character of the text into the queue. What is dropped belongs to the character before, so that it is
 * never left alone outside of a mark-up. */
static void read_character(struct convstore_tokens *tokens) {
  size_t start = tokens->at, length;
  int32_t code = decode(tokens->text + start, tokens->text_size - start, &length);
  size_t end = tokens->at = start + length;
  if (tokens->head == tokens->n_queue) tokens->head = tokens->n_queue = 0;
  if (code < 0) {
    push(tokens, 0, SEPARATES, 0, start, end);
    return;
  }
  if (code < 0x80) {
    bool is_word = is_ascii_word((unsigned char)code);
    push(tokens, is_word ? lower((unsigned char)code) : code, is_word ? WORD : SEPARATES, 0, start, end);
    return;
  }
  if (is_plain_alone(code)) {
    push(tokens, code, ALONE, 0, start, end);
    return;
  }

  utf8proc_int32_t codes[ONE_CHARACTER];
  int boundary = 0;
  utf8proc_ssize_t n = utf8proc_decompose_char(code, codes, ONE_CHARACTER,
                                               UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                                   UTF8PROC_IGNORE | UTF8PROC_STABLE,
                                               &boundary);
  if (n < 0 || n > ONE_CHARACTER) {
    push(tokens, 0, SEPARATES, 0, start, end);
    return;
  }
  bool kept = false;
  for (utf8proc_ssize_t i = 0; i < n; i++) kept = push_folded(tokens, codes[i], start, end) || kept;
  if (!kept) {
    struct convstore_folded *before = last_queued(tokens);
    if (before && before->end == start)
      before->end = end;
    else if (!before && tokens->end == start)
      tokens->end = end;
  }
}

/* A mark is in its place when the next character that is none has been read; a queue that is nearly full must do. */
static bool is_in_place(const struct convstore_tokens *tokens) {
  if (tokens->queue[tokens->head].order == 0 || tokens->at == tokens->text_size ||
      tokens->n_queue + ONE_CHARACTER * 2 > CONVSTORE_FOLDED)
    return true;
  for (size_t i = tokens->head; i < tokens->n_queue; i++)
    if (tokens->queue[i].order == 0) return true;
  return false;
}

/* The next character, or NULL. */
static const struct convstore_folded *peek(struct convstore_tokens *tokens) {
  while (tokens->head == tokens->n_queue || !is_in_place(tokens)) {
    if (tokens->at == tokens->text_size) return NULL;
    if (tokens->head > 0 && tokens->head < tokens->n_queue) {
      memmove(tokens->queue, tokens->queue + tokens->head,
              (tokens->n_queue - tokens->head) * sizeof *tokens->queue);
      tokens->n_queue -= tokens->head;
      tokens->head = 0;
    }
    read_character(tokens);
  }
  return &tokens->queue[tokens->head];
}

/* ---- terms ---- */

/* FNV-1a */
static uint64_t hash_byte(uint64_t hash, unsigned char byte) {
  return (hash ^ byte) * UINT64_C(0x100000001B3);
}

static void append(struct convstore_tokens *tokens, const unsigned char *bytes, size_t n) {
  if (!tokens->overlong && tokens->size + n <= CONVSTORE_TERM_SIZE) {
    memcpy(tokens->term + tokens->size, bytes, n);
    tokens->size += n;
    return;
  }
  if (!tokens->overlong) {
    tokens->overlong = true;
    tokens->hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < tokens->size; i++)
      tokens->hash = hash_byte(tokens->hash, (unsigned char)tokens->term[i]);
  }
  for (size_t i = 0; i < n; i++) tokens->hash = hash_byte(tokens->hash, bytes[i]);
}

/* Takes the next character into the term. Marks that were put in order may stand before the others in the text. */
static void take(struct convstore_tokens *tokens) {
  const struct convstore_folded *next = &tokens->queue[tokens->head++];
  unsigned char bytes[4];
  append(tokens, bytes, (size_t)utf8proc_encode_char(next->code, bytes));
  if (next->start < tokens->start) tokens->start = next->start;
  if (next->end > tokens->end) tokens->end = next->end;
}

static void end_term(struct convstore_tokens *tokens) {
  static const char digits[] = "0123456789abcdef";
  if (!tokens->overlong) return;
  tokens->size = convstore__utf8_cut(tokens->term, tokens->size, KEPT_OF_OVERLONG);
  for (int i = 60; i >= 0; i -= 4) tokens->term[tokens->size++] = digits[tokens->hash >> i & 15];
}

static void take_word(struct convstore_tokens *tokens) {
  const unsigned char *s = tokens->text;
  for (;;) {
    if (tokens->head == tokens->n_queue) {
      size_t first = tokens->at;
      while (tokens->at < tokens->text_size && is_ascii_word(s[tokens->at])) {
        unsigned char byte = lower(s[tokens->at++]);
        append(tokens, &byte, 1);
      }
      if (tokens->at > first) tokens->end = tokens->at;
      if (tokens->at < tokens->text_size && s[tokens->at] < 0x80) return;
    }
    const struct convstore_folded *next = peek(tokens);
    if (!next || (next->kind != WORD && next->kind != MARK)) return;
    take(tokens);
  }
}

/* The Hangul syllable of the two, or 0 (Unicode, section 3.12). */
static int32_t compose_hangul(int32_t first, int32_t second) {
  enum {
    SYLLABLE = 0xAC00,
    LEADING = 0x1100,
    VOWEL = 0x1161,
    TRAILING = 0x11A7,
    N_LEADING = 19,
    N_VOWEL = 21,
    N_TRAILING = 28
  };
  if (first >= LEADING && first < LEADING + N_LEADING && second >= VOWEL && second < VOWEL + N_VOWEL)
    return SYLLABLE + ((first - LEADING) * N_VOWEL + (second - VOWEL)) * N_TRAILING;
  if (first >= SYLLABLE && first < SYLLABLE + N_LEADING * N_VOWEL * N_TRAILING &&
      (first - SYLLABLE) % N_TRAILING == 0 && second > TRAILING && second < TRAILING + N_TRAILING)
    return first + second - TRAILING;
  return 0;
}

static void take_alone(struct convstore_tokens *tokens, int32_t base) {
  take(tokens);
  for (const struct convstore_folded *next; (next = peek(tokens)) != NULL;) {
    int32_t syllable = next->kind == ALONE ? compose_hangul(base, next->code) : 0;
    if (syllable != 0) {
      tokens->queue[tokens->head].code = base = syllable;
      tokens->size = 0;
    } else if (next->kind != MARK) {
      return;
    } else {
      base = 0;
    }
    take(tokens);
  }
}

void convstore__tokens_start(struct convstore_tokens *tokens, convstore_text text) {
  tokens->text = (const unsigned char *)text.data;
  tokens->text_size = text.data ? text.size : 0;
  tokens->at = tokens->head = tokens->n_queue = 0;
  tokens->index = 0;
  tokens->start = tokens->end = 0;
}

bool convstore__tokens_next(struct convstore_tokens *tokens) {
  const unsigned char *s = tokens->text;
  const struct convstore_folded *next = NULL;
  bool glued = tokens->index > 0;
  for (;;) {
    if (tokens->head == tokens->n_queue) {
      while (tokens->at < tokens->text_size && s[tokens->at] < 0x80 && !is_ascii_word(s[tokens->at])) {
        tokens->at++;
        glued = false;
      }
      if (tokens->at < tokens->text_size && s[tokens->at] < 0x80) break;
    }
    next = peek(tokens);
    if (!next) return false;
    if (next->kind != SEPARATES) break;
    next = NULL;
    tokens->head++;
    glued = false;
  }
  tokens->index++;
  tokens->glued = glued;
  tokens->size = 0;
  tokens->overlong = false;
  tokens->start = next ? next->start : tokens->at;
  if (next && next->kind == ALONE)
    take_alone(tokens, next->code);
  else
    take_word(tokens);
  end_term(tokens);
  return true;
}

size_t convstore__space(const char *s, size_t size) {
  unsigned char byte = (unsigned char)*s;
  if (byte < 0x80) return byte == ' ' || (byte >= '\t' && byte <= '\r');
  size_t length;
  int32_t code = decode((const unsigned char *)s, size, &length);
  if (code < 0) return 0;
  utf8proc_propval_t category = utf8proc_get_property(code)->category;
  bool is_space = code == 0x85 || (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
  return is_space ? length : 0;
}
