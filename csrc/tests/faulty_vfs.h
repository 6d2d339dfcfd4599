/*
 * SQLite's files with faults: a VFS before the system's, whose calls fail where a test says so. One fault at
 * a time.
 */
#ifndef CONVSTORE_TESTS_FAULTY_VFS_H
#define CONVSTORE_TESTS_FAULTY_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum faulty_call {
  FAULTY_OPEN,
  FAULTY_READ,
  FAULTY_WRITE,
  FAULTY_TRUNCATE,
  FAULTY_SYNC,
  FAULTY_LOCK,
  FAULTY_SHM_MAP,
  FAULTY_WRITE_LOCK, /* in the WAL's shared memory; for the others SQLite itself tries ten seconds */
  FAULTY_CALLS
};

/* Makes it the VFS of every connection from now on. */
bool faulty_install(void);

/* From now on the `failing`-th call of its kind, from 0, answers `code`, and all after it too if `all_after`.
 * The system is said to have given `system_errno`. */
void faulty_arm(enum faulty_call call, int64_t failing, bool all_after, int code, int system_errno);

/* Ends that. True: the fault was met. */
bool faulty_disarm(void);

#endif
