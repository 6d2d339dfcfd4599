/* See postgres_thread.h. */
#define _GNU_SOURCE /* dladdr */

#include "postgres_thread.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* An abandoned thread may still run this code when Lua unloads its modules, so the library stays loaded from now on. */
static void stay_loaded(void) {
  static atomic_flag done = ATOMIC_FLAG_INIT;
  static void *kept; /* never closed */
  Dl_info info;
  if (!atomic_flag_test_and_set(&done) && dladdr(&done, &info) != 0 && info.dli_fname != NULL)
    kept = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  (void)kept;
}

/* Signals belong to the program's own threads. */
int convstore__postgres_thread_start(void *(*run)(void *), void *context) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all;
  sigset_t before;
  if (pthread_attr_init(&attributes) != 0) return -1;
  stay_loaded();
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = pthread_create(&thread, &attributes, run, context);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  return failure;
}
