/*
 * Search queries, and snippets for them. The input is "query\ntext". What the query's units match is compared with a
 * plain comparison of token after token; the snippet must be well-formed HTML whose text stands in the text.
 */
#include "../core/fold.h"
#include "../core/query.h"
#include "../core/segment.h"
#include "../core/snippet.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
  MOST_TOKENS = 4096
};

struct seen {
  uint32_t term[MOST_TOKENS];
  bool glued[MOST_TOKENS];
  size_t n;
};

static void check_query(const struct convstore_query *query) {
  size_t longest = 0;
  FUZZ_CHECK(query->n_positive <= query->n_units);
  for (size_t i = 0; i < query->n_terms; i++) {
    const struct convstore_query_term *term = &query->terms[i];
    FUZZ_CHECK(term->bucket == convstore__term_bucket(term->data, term->size));
    FUZZ_CHECK(convstore__query_find(query, term->data, term->size) == i);
  }
  for (size_t i = 0; i < query->n_units; i++) {
    const struct convstore_unit *unit = &query->units[i];
    FUZZ_CHECK(unit->negative == (i >= query->n_positive));
    FUZZ_CHECK(unit->n > 0 && unit->n_terms > 0 && unit->n_terms <= unit->n);
    if (unit->n > longest) longest = unit->n;
    for (size_t k = 0; k < unit->n; k++) FUZZ_CHECK(unit->tokens[k] / 2 < query->n_terms);
    for (size_t k = 1; k < unit->n_terms; k++) FUZZ_CHECK(unit->terms[k - 1] < unit->terms[k]);
  }
  FUZZ_CHECK(query->longest == longest);
}

static void read_tokens(struct seen *seen, const struct convstore_query *query, convstore_text text) {
  struct convstore_tokens tokens;
  seen->n = 0;
  for (convstore__tokens_start(&tokens, text); seen->n < MOST_TOKENS && convstore__tokens_next(&tokens);
       seen->n++) {
    seen->term[seen->n] = convstore__query_find(query, tokens.term, tokens.size);
    seen->glued[seen->n] = tokens.glued;
  }
}

/* Whether the unit ends with token `end`. */
static bool ends_at(const struct convstore_unit *unit, const struct seen *seen, size_t end) {
  if (end + 1 < unit->n) return false;
  size_t first = end + 1 - unit->n;
  for (size_t k = 0; k < unit->n; k++) {
    if (seen->term[first + k] != unit->tokens[k] / 2) return false;
    if (k > 0 && seen->glued[first + k] != (unit->tokens[k] % 2 == 1)) return false;
  }
  return true;
}

static bool check_unit(const struct convstore_unit *unit, const struct seen *seen) {
  size_t matched = 0;
  bool found = false;
  for (size_t i = 0; i < seen->n; i++) {
    matched = seen->term[i] == UINT32_MAX
                  ? 0
                  : convstore__unit_advance(unit, matched, seen->term[i], seen->glued[i]);
    FUZZ_CHECK((matched == unit->n) == ends_at(unit, seen, i));
    found = found || matched == unit->n;
  }
  return found;
}

/* ---- the snippet ---- */

struct shown {
  char *text; /* without marks and escapes; white space may be doubled */
  size_t size;
  size_t n_marks;
};

static bool take(const char **at, const char *what) {
  size_t n = strlen(what);
  if (strncmp(*at, what, n) != 0) return false;
  *at += n;
  return true;
}

static void read_html(struct shown *out, convstore_text html) {
  static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
  const char *at = html.data, *end = at + html.size;
  bool bold = false;
  FUZZ_CHECK(*end == '\0');
  while (at < end) {
    size_t i = 0;
    if (take(&at, bold ? "</b>" : "<b>")) {
      out->n_marks += bold = !bold;
    } else if (*at == '&') {
      while (i < 5 && !take(&at, entities[i])) i++;
      FUZZ_CHECK(i < 5);
      out->text[out->size++] = "&<>\"'"[i];
    } else {
      FUZZ_CHECK(*at == '\0' || strchr("<>\"'", *at) == NULL);
      out->text[out->size++] = *at++;
    }
  }
  FUZZ_CHECK(!bold);
}

/* The text with white space as single spaces, none at the ends. */
static convstore_text squeezed(convstore_text text) {
  char *out = malloc(text.size + 1);
  size_t n = 0;
  bool pending = false;
  FUZZ_CHECK(out != NULL);
  for (size_t i = 0; i < text.size;) {
    size_t space = convstore__space(text.data + i, text.size - i);
    if (space > 0) {
      pending = true;
      i += space;
      continue;
    }
    if (pending && n > 0) out[n++] = ' ';
    pending = false;
    out[n++] = text.data[i++];
  }
  return (convstore_text){out, n};
}

static bool stands_in(convstore_text part, convstore_text whole) {
  for (size_t i = 0; i + part.size <= whole.size; i++)
    if (memcmp(whole.data + i, part.data, part.size) == 0) return true;
  return false;
}

static void check_snippet(const struct convstore_query *query, convstore_text text, bool matches,
                          struct convstore_arena *arena) {
  static const char dots[] = "\xE2\x80\xA6"; /* … */
  const size_t n_dots = sizeof dots - 1;
  convstore_text html = {NULL, 0};
  FUZZ_CHECK(convstore__snippet(&html, query, text, arena, NULL) == CONVSTORE_OK);
  struct shown shown = {.text = malloc(html.size + 1)};
  FUZZ_CHECK(shown.text != NULL);
  read_html(&shown, html);
  FUZZ_CHECK((shown.n_marks > 0) == matches);
  if (fuzz_is_utf8(text)) FUZZ_CHECK(fuzz_is_utf8(html));
  /* In the text it stands in one piece; marks of omission may have been put at both ends. */
  convstore_text whole = squeezed(text), all = {shown.text, shown.size};
  bool found = false;
  for (int ends = 0; ends < 4 && !found; ends++) {
    convstore_text part = all;
    if (ends & 1 && part.size >= n_dots && memcmp(part.data, dots, n_dots) == 0) {
      part.data += n_dots;
      part.size -= n_dots;
    }
    if (ends & 2 && part.size >= n_dots && memcmp(part.data + part.size - n_dots, dots, n_dots) == 0)
      part.size -= n_dots;
    convstore_text squeezed_part = squeezed(part);
    found = stands_in(squeezed_part, whole);
    free((char *)squeezed_part.data);
  }
  FUZZ_CHECK(found);
  free((char *)whole.data);
  free(shown.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct seen seen;
  struct fuzz_input input = fuzz_input(data, size);
  convstore_text query_text = fuzz_line(&input), text = fuzz_rest(&input);
  char *query_copy = fuzz_exact(query_text), *copy = fuzz_exact(text);
  convstore_result result = {.n_messages = 0};
  struct convstore_arena *arena = convstore__arena(&result);
  struct convstore_query query;
  bool matches = false;
  query_text.data = query_copy;
  text.data = copy;
  FUZZ_CHECK(convstore__query_parse(&query, query_text, arena, NULL) == CONVSTORE_OK);
  check_query(&query);
  read_tokens(&seen, &query, text);
  for (size_t i = 0; i < query.n_units; i++) {
    bool found = check_unit(&query.units[i], &seen);
    matches = matches || (found && i < query.n_positive && i < CONVSTORE_SNIPPET_UNITS);
  }
  if (seen.n < MOST_TOKENS) check_snippet(&query, text, matches, arena);
  convstore_result_free(&result);
  free(copy);
  free(query_copy);
  return 0;
}
