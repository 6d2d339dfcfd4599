/* Substitution in two passes over the text: the first measures, the second writes. See render.h. */
#include "render.h"

#include <string.h>

/* The substitution whose {{name}} stands at `at`, or NULL. */
static const struct convstore_substitution *match(const char *at,
                                                  const struct convstore_substitution *substitutions) {
  if (at[0] != '{' || at[1] != '{') return NULL;
  for (; substitutions->name != NULL; substitutions++) {
    size_t n = strlen(substitutions->name);
    if (strncmp(at + 2, substitutions->name, n) == 0 && strncmp(at + 2 + n, "}}", 2) == 0)
      return substitutions;
  }
  return NULL;
}

/* Writes to `out` unless that is NULL. Returns the size without the NUL. */
static size_t render(char *out, const char *sql, const struct convstore_substitution *substitutions) {
  size_t size = 0;
  while (*sql != '\0') {
    const struct convstore_substitution *found = match(sql, substitutions);
    const char *piece = found != NULL ? found->value : sql;
    size_t n = found != NULL ? strlen(found->value) : 1;
    if (out != NULL) memcpy(out + size, piece, n);
    size += n;
    sql += found != NULL ? strlen(found->name) + 4 : 1;
  }
  if (out != NULL) out[size] = '\0';
  return size;
}

const char *convstore__render(struct convstore_arena *arena, const char *sql,
                              const struct convstore_substitution *substitutions) {
  char *out = convstore__arena_alloc(arena, render(NULL, sql, substitutions) + 1);
  if (out != NULL) (void)render(out, sql, substitutions);
  return out;
}
