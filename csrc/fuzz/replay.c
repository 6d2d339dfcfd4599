/*
 * Runs a fuzz target over the inputs that are kept for it, as a test: what a fuzzer once found stays found, with any
 * compiler. Linked with one target. Usage: corpus_NAME [FILE...]; without files, csrc/fuzz/corpus/NAME.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static size_t n_passed, n_failed;
static const char *running;

/* Says which input it was that did not hold. */
static void on_abort(int number) {
  (void)number;
  (void)!write(STDERR_FILENO, running, strlen(running));
  (void)!write(STDERR_FILENO, "\n", 1);
}

static void run_file(const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t *data = NULL;
  long size = -1;
  if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  if (size >= 0) data = malloc((size_t)size + 1);
  if (data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size) {
    running = path;
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    n_passed++;
  } else {
    printf("%s cannot be read\n", path);
    n_failed++;
  }
  free(data);
  if (file) (void)fclose(file);
}

static int is_input(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static void run_folder(const char *folder) {
  struct dirent **entries = NULL;
  int n = scandir(folder, &entries, is_input, alphasort);
  for (int i = 0; i < n; i++) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    run_file(path);
    free(entries[i]);
  }
  free(entries);
  if (n > 0) return;
  printf("%s has no inputs; is this the folder of the project?\n", folder);
  n_failed++;
}

int main(int argc, char **argv) {
  char folder[512];
  const char *name = strrchr(argv[0], '/');
  name = name ? name + 1 : argv[0];
  if (strncmp(name, "corpus_", 7) == 0) name += 7;
  (void)snprintf(folder, sizeof folder, "csrc/fuzz/corpus/%s", name);
  (void)signal(SIGABRT, on_abort);
  for (int i = 1; i < argc; i++) run_file(argv[i]);
  if (argc == 1) run_folder(folder);
  printf("%zu passed, %zu failed\n", n_passed, n_failed);
  return n_failed > 0;
}
