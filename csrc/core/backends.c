/* Which backend serves a DSN. The only place that lists them; it knows how they are named, not how they work. */
#include <string.h>

#include "backend.h"

static const struct {
  const char *prefix;
  const struct convstore_backend *backend;
} schemes[] = {
    {"sqlite:", &convstore__sqlite},
    {"postgresql:", &convstore__postgres},
    {"postgres:", &convstore__postgres},
};

/* Whether the DSN looks like "scheme://...", which no one means as a file's path. */
static bool has_scheme(const char *dsn) {
  size_t n = strspn(dsn, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
  return n > 1 && strncmp(dsn + n, "://", 3) == 0;
}

int convstore__backend_for(const struct convstore_backend **out, const char **location, const char *dsn,
                           convstore_error *err) {
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t n = strlen(schemes[i].prefix);
    if (strncmp(dsn, schemes[i].prefix, n) != 0) continue;
    *out = schemes[i].backend;
    *location = dsn + n;
    return CONVSTORE_OK;
  }
  if (has_scheme(dsn))
    return convstore_fail(err, CONVSTORE_E_UNSUPPORTED,
                          "no such kind of database: \"%.*s://\"; give a file's path, \"sqlite:PATH\" or a "
                          "postgresql:// URI",
                          (int)strcspn(dsn, ":"), dsn);
  *out = &convstore__sqlite;
  *location = dsn;
  return CONVSTORE_OK;
}
