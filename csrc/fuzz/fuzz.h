/*
 * What the fuzz targets share: checks that end the process, so that a fuzzer sees them, and how an input is taken
 * apart. A target is a file fuzz_NAME.c with one LLVMFuzzerTestOneInput(). clang's libFuzzer makes inputs for it
 * (`make fuzz`); replay.c runs the kept ones, corpus/NAME, with any compiler, as a test.
 *
 * Inputs are text wherever that is possible: a letter that chooses, then lines. So a person can read and write them.
 */
#ifndef CONVSTORE_FUZZ_H
#define CONVSTORE_FUZZ_H

#include "../core/arena.h"

/* The target. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what did not hold, and aborts. */
#define FUZZ_CHECK(condition)                                                                                \
  do {                                                                                                       \
    if (!(condition)) fuzz_failed(#condition, __FILE__, __LINE__);                                           \
  } while (0)

_Noreturn void fuzz_failed(const char *condition, const char *file, int line);

/* An input, and what is not yet taken of it. */
struct fuzz_input {
  const char *at;
  size_t left;
};

struct fuzz_input fuzz_input(const uint8_t *data, size_t size);

/* The next byte, 0 at the end. */
unsigned fuzz_byte(struct fuzz_input *input);
/* Eight bytes as a number, the first lowest; those behind the end are 0. */
uint64_t fuzz_number(struct fuzz_input *input);
/* What stands before the next newline, which is taken as well; the rest where there is none. */
convstore_text fuzz_line(struct fuzz_input *input);
convstore_text fuzz_rest(struct fuzz_input *input);

/* A copy that ends with a NUL: free(). A NUL in the text ends it early for whoever reads it as a string. */
char *fuzz_string(convstore_text text);
/* A copy in a block of exactly its size, behind which a sanitizer sees every read: free(). */
char *fuzz_exact(convstore_text text);

/* An error is what a failed call must leave: its status, its name and a colon first, whole UTF-8, nothing internal. */
void fuzz_check_error(int status, const convstore_error *err);

/* Second opinion: whether it is UTF-8 without NUL, by utf8proc. */
bool fuzz_is_utf8(convstore_text text);

#endif
