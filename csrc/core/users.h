/* The option `users`: "TABLE(COLUMN)", which names what user ids refer to. Knows names, not databases. */
#ifndef CONVSTORE_CORE_USERS_H
#define CONVSTORE_CORE_USERS_H

#include "../convstore.h"

#define CONVSTORE_NAME_SIZE 128
/* Room for three names, quoted, with their punctuation. */
#define CONVSTORE_USERS_SIZE (3 * 2 * CONVSTORE_NAME_SIZE + 16)

struct convstore_users {
  char schema[CONVSTORE_NAME_SIZE]; /* "" where it is not given */
  char table[CONVSTORE_NAME_SIZE];
  char column[CONVSTORE_NAME_SIZE];
};

/* Reads [SCHEMA.]TABLE(COLUMN), each name bare or in double quotes. E_INVALID. */
int convstore__users_parse(struct convstore_users *out, const char *option, convstore_error *err);

/* Writes it as SQL takes it after REFERENCES, every name quoted: the form in which two options are compared. */
void convstore__users_sql(char out[CONVSTORE_USERS_SIZE], const struct convstore_users *users);

#endif
