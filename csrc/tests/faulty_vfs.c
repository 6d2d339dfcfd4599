/* See faulty_vfs.h. Each file is a pair: SQLite's methods look here first, then at the system's own file
 * behind it. */
#include "faulty_vfs.h"

#include <errno.h>
#include <stddef.h>

#include <sqlite3.h>

static struct {
  bool armed;
  enum faulty_call call;
  int64_t failing, n;
  bool all_after, hit;
  int code, system_errno;
} fault;

struct faulty_file {
  sqlite3_file base;
  sqlite3_file *real; /* lies behind this struct */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs faulty_vfs;

void faulty_arm(enum faulty_call call, int64_t failing, bool all_after, int code, int system_errno) {
  fault.armed = true;
  fault.call = call;
  fault.failing = failing;
  fault.n = 0;
  fault.all_after = all_after;
  fault.hit = false;
  fault.code = code;
  fault.system_errno = system_errno;
}

bool faulty_disarm(void) {
  fault.armed = false;
  return fault.hit;
}

/* SQLITE_OK, or what the call must answer. */
static int check(enum faulty_call call) {
  if (!fault.armed || call != fault.call) return SQLITE_OK;
  int64_t i = fault.n++;
  if (i != fault.failing && !(fault.all_after && i > fault.failing)) return SQLITE_OK;
  fault.hit = true;
  errno = fault.system_errno;
  return fault.code;
}

static sqlite3_file *real_of(sqlite3_file *file) {
  return ((struct faulty_file *)file)->real;
}

static int file_close(sqlite3_file *file) {
  return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at) {
  int code = check(FAULTY_READ);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xRead(real_of(file), to, n, at);
}

static int file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at) {
  int code = check(FAULTY_WRITE);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xWrite(real_of(file), from, n, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  int code = check(FAULTY_TRUNCATE);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags) {
  int code = check(FAULTY_SYNC);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level) {
  int code = check(FAULTY_LOCK);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *out) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file) {
  return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file) {
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  int code = check(FAULTY_SHM_MAP);
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int first, int n, int flags) {
  bool writer = first == 0 && flags == (SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
  int code = writer ? check(FAULTY_WRITE_LOCK) : SQLITE_OK;
  return code != SQLITE_OK ? code : real_of(file)->pMethods->xShmLock(real_of(file), first, n, flags);
}

static void file_shm_barrier(sqlite3_file *file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* without memory-mapped reads, which would pass by */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  struct faulty_file *pair = (struct faulty_file *)file;
  pair->base.pMethods = NULL; /* nothing to close, unless it opens */
  pair->real = (sqlite3_file *)(pair + 1);
  int code = check(FAULTY_OPEN);
  if (code == SQLITE_OK) code = real_vfs->xOpen(real_vfs, name, pair->real, flags, out_flags);
  if (code == SQLITE_OK) pair->base.pMethods = &methods;
  return code;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  return fault.hit ? fault.system_errno : real_vfs->xGetLastError(real_vfs, size, out);
}

bool faulty_install(void) {
  real_vfs = sqlite3_vfs_find(NULL);
  if (!real_vfs) return false;
  faulty_vfs = *real_vfs;
  faulty_vfs.zName = "faulty";
  faulty_vfs.szOsFile = (int)sizeof(struct faulty_file) + real_vfs->szOsFile;
  faulty_vfs.xOpen = vfs_open;
  faulty_vfs.xGetLastError = vfs_last_error;
  return sqlite3_vfs_register(&faulty_vfs, 1) == SQLITE_OK;
}
