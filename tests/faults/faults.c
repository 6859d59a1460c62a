// Makes system calls fail that write below a folder: an n-th one, or all from the n-th on.
//
// Loaded ahead of the C library (LD_PRELOAD), so that calls of native code fail as those of Python do. Off
// until faults_arm() is called. What fails: opening for writing, writing, truncating, flushing, renaming,
// removing, and making or removing a folder.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static size_t length;  // of the folder's name; 0: off
static atomic_int count;
static int first, number, forever;
static char told[2 * PATH_MAX];

// Calls below the folder are counted from here on; the nth fails with an error, and all after it if `ever`.
// With nth = 0 none does.
void faults_arm(const char* folder, int nth, int error, int ever) {
  snprintf(below, sizeof below, "%s/", folder);
  atomic_store(&count, 0);
  first = nth, number = error, forever = ever;
  told[0] = 0;
  length = strlen(below);
}

// How many calls there were; none fails or counts any more.
int faults_disarm(void) {
  length = 0;
  return atomic_load(&count);
}

// The first call that failed, such as "fsync /folder/file"; empty for none.
const char* faults_told(void) { return told; }

static int fails(const char* call, const char* path) {
  if (!length || strncmp(path, below, length)) return 0;
  const int n = atomic_fetch_add(&count, 1) + 1;
  if (!first || n < first || (n > first && !forever)) return 0;
  if (n == first) snprintf(told, sizeof told, "%s %s", call, path);
  errno = number;
  return 1;
}

static int fails_at(const char* call, int folder, const char* path) {
  if (!length) return 0;
  if (path[0] == '/') return fails(call, path);
  char link[64], whole[2 * PATH_MAX];
  snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
  const ssize_t size = readlink(link, whole, PATH_MAX);
  if (size < 0) return 0;
  snprintf(whole + size, sizeof whole - size, "/%s", path);
  return fails(call, whole);
}

static int fails_on(const char* call, int file) {
  if (!length) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_FILE(result, name, declared, ...) \
  result name declared { return fails_on(#name, file) ? -1 : REAL(name)(__VA_ARGS__); }
#define AT_PATH(result, name, folder, path, declared, ...) \
  result name declared { return fails_at(#name, folder, path) ? -1 : REAL(name)(__VA_ARGS__); }

ON_FILE(ssize_t, write, (int file, const void* data, size_t size), file, data, size)
ON_FILE(ssize_t, pwrite, (int file, const void* data, size_t size, off_t at), file, data, size, at)
ON_FILE(ssize_t, pwrite64, (int file, const void* data, size_t size, off64_t at), file, data, size, at)
ON_FILE(ssize_t, writev, (int file, const struct iovec* parts, int num), file, parts, num)
ON_FILE(int, ftruncate, (int file, off_t size), file, size)
ON_FILE(int, ftruncate64, (int file, off64_t size), file, size)
ON_FILE(int, fsync, (int file), file)
ON_FILE(int, fdatasync, (int file), file)
AT_PATH(int, rename, AT_FDCWD, to, (const char* from, const char* to), from, to)
AT_PATH(int, renameat, to_folder, to, (int folder, const char* from, int to_folder, const char* to), folder,
        from, to_folder, to)
AT_PATH(int, unlink, AT_FDCWD, path, (const char* path), path)
AT_PATH(int, unlinkat, folder, path, (int folder, const char* path, int flags), folder, path, flags)
AT_PATH(int, rmdir, AT_FDCWD, path, (const char* path), path)
AT_PATH(int, mkdir, AT_FDCWD, path, (const char* path, mode_t mode), path, mode)
AT_PATH(int, mkdirat, folder, path, (int folder, const char* path, mode_t mode), folder, path, mode)

static int writes(int flags) { return (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY; }

#define MODE(flags)                    \
  mode_t mode = 0;                     \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list more;                      \
    va_start(more, flags);             \
    mode = va_arg(more, mode_t);       \
    va_end(more);                      \
  }

#define OPEN(name)                                                    \
  int name(const char* path, int flags, ...) {                        \
    MODE(flags)                                                       \
    if (writes(flags) && fails_at("open", AT_FDCWD, path)) return -1; \
    return REAL(name)(path, flags, mode);                             \
  }
#define OPENAT(name)                                                \
  int name(int folder, const char* path, int flags, ...) {          \
    MODE(flags)                                                     \
    if (writes(flags) && fails_at("open", folder, path)) return -1; \
    return REAL(name)(folder, path, flags, mode);                   \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
