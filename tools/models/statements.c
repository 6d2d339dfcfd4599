/*
 * Prints the statements of both backends as JSON, one a line: {"backend": …, "name": …, "number": …, "sql": …}.
 * It is how the schema's document is held to the texts that run (tools/models/document.lua): the compiler has put the
 * macros together, so nothing has to understand C.
 */
#include <stdio.h>

#include "../../csrc/postgres/postgres_statements.h"
#include "../../csrc/sqlite/sqlite_statements.h"

/* A text in the form of JSON. */
static void print_string(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      printf("\\%c", c);
    } else if (c < ' ') {
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

static void print_statement(const char *backend, int number, const char *name, const char *sql) {
  /* Numbers between two enumerators of which not all variants exist. */
  if (sql == NULL) {
    return;
  }
  printf("{\"backend\": \"%s\", \"number\": %d, \"name\": ", backend, number);
  print_string(name);
  fputs(", \"sql\": ", stdout);
  print_string(sql);
  puts("}");
}

int main(void) {
  for (int i = 0; i < SQLITE_STMTS; i++) {
    print_statement("sqlite", i, convstore__sqlite_stmt_texts[i].name, convstore__sqlite_stmt_texts[i].sql);
  }
  for (int i = 0; i < POSTGRES_STMTS; i++) {
    print_statement("postgres", i, convstore__postgres_stmt_texts[i].name,
                    convstore__postgres_stmt_texts[i].sql);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
