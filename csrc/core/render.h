/* Filling in the {{names}} of a migration's SQL. Knows no SQL. */
#ifndef CONVSTORE_CORE_RENDER_H
#define CONVSTORE_CORE_RENDER_H

#include "arena.h"

struct convstore_substitution {
  const char *name; /* as it stands between {{ and }} */
  const char *value;
};

/* A copy of `sql` from the arena in which each {{name}} is its value; a name that is not listed stays as it is.
 * The list ends with a NULL name. NULL: out of memory. */
const char *convstore__render(struct convstore_arena *arena, const char *sql,
                              const struct convstore_substitution *substitutions);

#endif
