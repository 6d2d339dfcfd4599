/*
 * What a search shows of a message. Knows tokens and units, no messages and no index.
 *
 * The text is read twice: to choose where to look, and to mark what matches there. So nothing is kept of the many
 * matches that a long text may have.
 */
#include "snippet.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"

enum {
  NEAR = 512,          /* matches of one cluster; a power of two */
  RANGES = 256,        /* marked ones */
  LONG_MATCH = 1024,   /* bytes; its characters are not counted */
  ENOUGH = 256 * 1024, /* bytes that are read behind the first match, to find a better place */
  FILTER = 4096        /* bits */
};

struct range {
  size_t start, end;
};

struct match {
  struct range bytes;
  size_t first; /* the number of its first character in the text */
  size_t unit;
};

/* Finds the query's units in a text. */
struct finder {
  const struct convstore_query *query;
  convstore_text text;
  size_t n_units;
  bool partial;                            /* a `matched` is not 0 */
  size_t matched[CONVSTORE_SNIPPET_UNITS]; /* see convstore__unit_advance */
  size_t *starts;                          /* of the last tokens; as many as the longest unit has, or more */
  size_t mask;
  uint64_t filter[FILTER / 64]; /* most words of a text are none of the query's; bits for those that may be */
  struct convstore_tokens tokens;
};

/* Where to look: matches that are close together. */
struct cluster {
  size_t head, n; /* in `near` */
  size_t counts[CONVSTORE_SNIPPET_UNITS];
  size_t n_different;
  struct match near[NEAR];
  struct range best;
  size_t best_different, best_n;
};

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to show what was found");
}

/* ---- finding ---- */

static size_t filter_bit(const char *term, size_t size) {
  return ((unsigned char)term[0] * 31U + (unsigned char)term[size - 1] * 257U + size * 1031U) % FILTER;
}

static int finder_start(struct finder *finder, const struct convstore_query *query, convstore_text text,
                        convstore_error *err) {
  size_t n = 1;
  while (n < query->longest) n *= 2;
  finder->starts = malloc(n * sizeof *finder->starts);
  if (!finder->starts) return no_memory(err);
  finder->mask = n - 1;
  finder->query = query;
  finder->text = text;
  finder->n_units = query->n_positive < CONVSTORE_SNIPPET_UNITS ? query->n_positive : CONVSTORE_SNIPPET_UNITS;
  memset(finder->filter, 0, sizeof finder->filter);
  for (size_t i = 0; i < query->n_terms; i++) {
    size_t bit = filter_bit(query->terms[i].data, query->terms[i].size);
    finder->filter[bit / 64] |= UINT64_C(1) << bit % 64;
  }
  return CONVSTORE_OK;
}

static void finder_rewind(struct finder *finder) {
  finder->partial = false;
  memset(finder->matched, 0, sizeof finder->matched);
  convstore__tokens_start(&finder->tokens, finder->text);
}

/* Reads a token. Then those units have ended for which unit_ended() is true. */
static bool finder_next(struct finder *finder) {
  struct convstore_tokens *tokens = &finder->tokens;
  if (!convstore__tokens_next(tokens)) return false;
  finder->starts[tokens->index & finder->mask] = tokens->start;
  size_t bit = filter_bit(tokens->term, tokens->size);
  uint32_t term = UINT32_MAX;
  if (finder->filter[bit / 64] >> bit % 64 & 1)
    term = convstore__query_find(finder->query, tokens->term, tokens->size);
  if (term == UINT32_MAX) {
    if (finder->partial) memset(finder->matched, 0, sizeof finder->matched);
    finder->partial = false;
    return true;
  }
  for (size_t i = 0; i < finder->n_units; i++) {
    finder->matched[i] =
        convstore__unit_advance(&finder->query->units[i], finder->matched[i], term, tokens->glued);
    if (finder->matched[i] > 0) finder->partial = true;
  }
  return true;
}

static bool unit_ended(const struct finder *finder, size_t unit, struct range *bytes) {
  size_t n = finder->query->units[unit].n;
  if (finder->matched[unit] != n) return false;
  bytes->start = finder->starts[(finder->tokens.index + 1 - n) & finder->mask];
  bytes->end = finder->tokens.end;
  return true;
}

/* A unit that has begun before byte `end` may still end. */
static bool is_open_before(const struct finder *finder, size_t end) {
  for (size_t i = 0; finder->partial && i < finder->n_units; i++) {
    size_t n = finder->matched[i];
    if (n > 0 && finder->starts[(finder->tokens.index + 1 - n) & finder->mask] < end) return true;
  }
  return false;
}

/* ---- where to look ---- */

static bool is_tail(char byte) {
  return ((unsigned char)byte & 0xC0) == 0x80;
}

static size_t count_characters(const char *s, size_t start, size_t end) {
  size_t n = 0;
  for (; start < end; start++) n += !is_tail(s[start]);
  return n;
}

static void forget_first(struct cluster *cluster) {
  size_t unit = cluster->near[cluster->head % NEAR].unit;
  if (--cluster->counts[unit] == 0) cluster->n_different--;
  cluster->head++;
  cluster->n--;
}

/* Adds a match, whose last character is the one before number `last`. */
static void add_match(struct cluster *cluster, const struct match *match, size_t last) {
  while (cluster->n > 0 &&
         (cluster->n == NEAR || cluster->near[cluster->head % NEAR].first + CONVSTORE_SNIPPET < last))
    forget_first(cluster);
  cluster->near[(cluster->head + cluster->n++) % NEAR] = *match;
  if (cluster->counts[match->unit]++ == 0) cluster->n_different++;
  if (cluster->n_different > cluster->best_different ||
      (cluster->n_different == cluster->best_different && cluster->n > cluster->best_n)) {
    cluster->best_different = cluster->n_different;
    cluster->best_n = cluster->n;
    cluster->best = (struct range){cluster->near[cluster->head % NEAR].bytes.start, match->bytes.end};
  }
}

/* The bytes from the first to the last match where they are densest: the most different units, then the most
 * matches. */
static struct range find_cluster(struct finder *finder, struct cluster *cluster) {
  const char *s = finder->text.data;
  size_t counted = 0, n_characters = 0; /* before byte `counted` */
  size_t first_match = SIZE_MAX;
  finder_rewind(finder);
  while (finder_next(finder)) {
    if (first_match != SIZE_MAX && finder->tokens.start - first_match > ENOUGH) break;
    if (!finder->partial) continue;
    for (size_t unit = 0; unit < finder->n_units; unit++) {
      struct match match = {.unit = unit};
      if (!unit_ended(finder, unit, &match.bytes)) continue;
      n_characters += count_characters(s, counted, match.bytes.end);
      counted = match.bytes.end;
      if (first_match == SIZE_MAX) first_match = match.bytes.start;
      size_t size = match.bytes.end - match.bytes.start;
      size_t length =
          size > LONG_MATCH ? CONVSTORE_SNIPPET : count_characters(s, match.bytes.start, match.bytes.end);
      match.first = n_characters - (length < n_characters ? length : n_characters);
      add_match(cluster, &match, n_characters);
    }
  }
  return cluster->best;
}

/* ---- what to show ---- */

/* Moves *at over up to `n` characters, white space counting as one. How many were missing. */
static size_t forward(size_t *at, size_t n, convstore_text text) {
  bool in_space = false;
  while (*at < text.size) {
    bool is_space = convstore__space(text.data + *at, text.size - *at) > 0;
    if (!is_space || !in_space) {
      if (n == 0) break;
      n--;
    }
    in_space = is_space;
    ++*at;
    while (*at < text.size && is_tail(text.data[*at])) ++*at;
  }
  return n;
}

/* The same towards the beginning. */
static size_t backward(size_t *at, size_t n, convstore_text text) {
  bool in_space = false;
  while (*at > 0) {
    size_t before = *at - 1;
    while (before > 0 && is_tail(text.data[before])) before--;
    bool is_space = convstore__space(text.data + before, text.size - before) > 0;
    if (!is_space || !in_space) {
      if (n == 0) break;
      n--;
    }
    in_space = is_space;
    *at = before;
  }
  return n;
}

/* *cluster, cut where it is longer than a snippet, and what stands around it: a third before, where there is that
 * much. */
static struct range choose(struct range *cluster, convstore_text text) {
  size_t end = cluster->start, n_free = CONVSTORE_SNIPPET;
  forward(&end, n_free, text);
  if (cluster->end > end) cluster->end = end;
  for (size_t at = cluster->start; n_free > 0 && at < cluster->end; n_free--) forward(&at, 1, text);
  struct range shown = *cluster;
  size_t n_before = n_free / 3;
  size_t missing = backward(&shown.start, n_before, text);
  missing = forward(&shown.end, n_free - n_before + missing, text);
  backward(&shown.start, missing, text);
  return shown;
}

/* Appends a range that ends behind all before it, joining what overlaps or touches. */
static void add_range(struct range *ranges, size_t *n, struct range range) {
  while (*n > 0 && ranges[*n - 1].end >= range.start) {
    --*n;
    if (ranges[*n].start < range.start) range.start = ranges[*n].start;
  }
  if (*n < RANGES) ranges[(*n)++] = range;
}

/* Collects what matches in *shown, and moves its ends so that they cut no word and no match; what matches in
 * `cluster` stays inside, unless it alone is longer than a snippet. How many ranges there are. */
static size_t find_ranges(struct range *ranges, struct range *shown, struct finder *finder,
                          struct range cluster) {
  const struct convstore_tokens *tokens = &finder->tokens;
  size_t n = 0;
  finder_rewind(finder);
  while (finder_next(finder) && (tokens->start < shown->end || is_open_before(finder, shown->end))) {
    if (tokens->end - tokens->start <= CONVSTORE_TERM_SIZE) {
      if (tokens->start < shown->start && tokens->end > shown->start) shown->start = tokens->start;
      if (tokens->start < shown->end && tokens->end > shown->end && tokens->start >= cluster.end)
        shown->end = tokens->start;
    }
    for (size_t unit = 0; finder->partial && unit < finder->n_units; unit++) {
      struct range range;
      if (unit_ended(finder, unit, &range) && range.end > shown->start && range.start < shown->end)
        add_range(ranges, &n, range);
    }
  }
  for (size_t i = 0; i < n; i++) {
    struct range range = ranges[i];
    bool is_short = range.end - range.start <= (size_t)CONVSTORE_SNIPPET * 4;
    if (range.start < shown->start && range.end > shown->start) {
      if (range.end <= cluster.start)
        shown->start = range.end;
      else if (is_short)
        shown->start = range.start;
    }
    if (range.start < shown->end && range.end > shown->end) {
      if (range.start >= cluster.end)
        shown->end = range.start;
      else if (is_short)
        shown->end = range.end;
    }
  }
  return n;
}

/* ---- HTML ---- */

struct html {
  char *data; /* NULL: it is only measured */
  size_t size;
};

static void put(struct html *html, const char *data, size_t size) {
  if (html->data) memcpy(html->data + html->size, data, size);
  html->size += size;
}

static void put_string(struct html *html, const char *string) {
  put(html, string, strlen(string));
}

static void put_escaped(struct html *html, const char *c) {
  switch (*c) {
  case '&':
    put_string(html, "&amp;");
    break;
  case '<':
    put_string(html, "&lt;");
    break;
  case '>':
    put_string(html, "&gt;");
    break;
  case '"':
    put_string(html, "&quot;");
    break;
  case '\'':
    put_string(html, "&#39;");
    break;
  default:
    put(html, c, 1);
  }
}

static void render(struct html *html, convstore_text text, struct range shown, const struct range *ranges,
                   size_t n) {
  size_t i = 0;
  bool is_bold = false;
  for (size_t at = shown.start; at < shown.end;) {
    while (i < n && ranges[i].end <= at) {
      if (is_bold) put_string(html, "</b>");
      is_bold = false;
      i++;
    }
    size_t space = convstore__space(text.data + at, text.size - at);
    if (!is_bold && i < n && ranges[i].start <= at) {
      put_string(html, "<b>");
      is_bold = true;
    }
    if (space > 0) {
      put(html, " ", 1);
      for (; at < shown.end && space > 0; space = convstore__space(text.data + at, text.size - at)) {
        at += space;
        if (at >= text.size) break;
      }
    } else {
      put_escaped(html, text.data + at++);
    }
  }
  if (is_bold) put_string(html, "</b>");
}

/* Leaves out white space at both ends. */
static struct range trim(convstore_text text, struct range shown) {
  size_t space;
  while (shown.start < shown.end &&
         (space = convstore__space(text.data + shown.start, text.size - shown.start)) > 0)
    shown.start += space;
  while (shown.end > shown.start) {
    size_t before = shown.end - 1;
    while (before > shown.start && is_tail(text.data[before])) before--;
    if (convstore__space(text.data + before, text.size - before) == 0) break;
    shown.end = before;
  }
  return shown;
}

int convstore__snippet(convstore_text *out, const struct convstore_query *query, convstore_text text,
                       struct convstore_arena *arena, convstore_error *err) {
  struct range ranges[RANGES];
  struct cluster *cluster = NULL;
  int status = CONVSTORE_OK;
  if (!text.data) text = (convstore_text){"", 0};
  struct finder *finder = calloc(1, sizeof *finder);
  if (!finder) return no_memory(err);
  cluster = calloc(1, sizeof *cluster);
  if (!cluster) {
    status = no_memory(err);
    goto done;
  }
  status = finder_start(finder, query, text, err);
  if (status != CONVSTORE_OK) goto done;

  struct range best = find_cluster(finder, cluster);
  struct range shown = choose(&best, text);
  size_t n = find_ranges(ranges, &shown, finder, best);
  struct range all = trim(text, (struct range){0, text.size});
  shown = trim(text, shown);
  struct html html = {NULL, 0};
  for (int pass = 0; pass < 2; pass++) {
    html.size = 0;
    if (shown.start > all.start) put_string(&html, "…");
    render(&html, text, shown, ranges, n);
    if (shown.end < all.end) put_string(&html, "…");
    if (pass > 0) break;
    html.data = convstore__arena_alloc(arena, html.size + 1);
    if (!html.data) {
      status = no_memory(err);
      goto done;
    }
  }
  html.data[html.size] = '\0';
  *out = (convstore_text){html.data, html.size};

done:
  free(cluster);
  if (finder) free(finder->starts);
  free(finder);
  return status;
}
