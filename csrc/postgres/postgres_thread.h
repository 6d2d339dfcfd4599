/* Threads for what libpq and the system can do only by waiting, without a limit. They may be abandoned. */
#ifndef CONVSTORE_POSTGRES_THREAD_H
#define CONVSTORE_POSTGRES_THREAD_H

/* Runs `run(context)` in a detached thread that takes no signals. 0, or why there is none. */
int convstore__postgres_thread_start(void *(*run)(void *), void *context);

#endif
