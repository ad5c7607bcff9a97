/* Stands between the gateway and the system (LD_PRELOAD), for tests of what a disk and a clock can do:
 *
 *   - writes down, in order, everything that is done to the files below LYCHGATE_SHIM_FOLDER, so that the test can rebuild the folder as
 *     a power cut at any moment could have left it (power.rs);
 *   - lets the disk be full, a sync be swallowed, the clock be wrong, as the control file says at the time.
 *
 * An entry is written after the act and before the program hears of it: what the program knows to be done is in the log.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Shared with the test: the same order and sizes as Control in shim.rs. */
struct control {
  int64_t left;    /* octets by which files may still grow; negative: no limit */
  int64_t swallow; /* 1: fsync of files does nothing; 2: of folders; 3: of the keyring and its journal */
  int64_t ahead;   /* milliseconds by which the clock is wrong */
  int64_t refused; /* counted: writes that found the disk full */
  int64_t slow;    /* microseconds that each sync takes longer */
};

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, SYNC_FOLDER };

struct entry {
  uint32_t kind;
  uint32_t length; /* of what follows: a path, a path and a path with a NUL between, or octets */
  uint64_t file;   /* inode */
  int64_t at;      /* offset or size */
};

enum { FDS = 4096, NONE = 0, FILE_ = 1, FOLDER_ = 2, RING_ = 3 };

static struct { int kind; uint64_t inode; } fds[FDS];
static char folder[1024];
static size_t folder_length;
static int log_fd = -1;
static struct control none = {.left = -1};
static struct control *control = &none;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("LYCHGATE_SHIM_FOLDER");
  if (path && strlen(path) < sizeof folder) { strcpy(folder, path); folder_length = strlen(path); }
  if ((path = getenv("LYCHGATE_SHIM_LOG"))) log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if ((path = getenv("LYCHGATE_SHIM_CONTROL"))) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) abort();
    control = shared;
  }
}

static int below(const char *path) {
  return folder_length && path && !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

/* One write, so that a kill leaves whole entries or none. */
static void note(uint32_t kind, uint64_t inode, int64_t at, const void *octets, size_t length, const char *second) {
  if (log_fd < 0) return;
  struct entry entry = {kind, length + (second ? strlen(second) + 1 : 0), inode, at};
  struct iovec parts[4] = {{&entry, sizeof entry}, {(void *)octets, length}, {"", 1}, {(void *)second, second ? strlen(second) : 0}};
  if (syscall(SYS_writev, log_fd, parts, second ? 4 : 2) < 0) abort();
}

static void closed(int fd) { if (fd >= 0 && fd < FDS) fds[fd].kind = NONE; }

static int opened(int fd, const char *path, int flags, int was_there) {
  struct stat found;
  if (fd < 0) return fd;
  closed(fd);
  if (fd >= FDS || !below(path) || fstat(fd, &found)) return fd;
  fds[fd].inode = found.st_ino;
  fds[fd].kind = S_ISDIR(found.st_mode) ? FOLDER_ : strstr(path, ".ring") ? RING_ : S_ISREG(found.st_mode) ? FILE_ : NONE;
  if (fds[fd].kind != FOLDER_ && !was_there) note(CREATE, found.st_ino, 0, path, strlen(path), NULL);
  if (fds[fd].kind != FOLDER_ && was_there && (flags & O_TRUNC)) note(TRUNCATE, found.st_ino, 0, "", 0, NULL);
  return fd;
}

static int is_there(const char *path) { struct stat found; return !stat(path, &found); }

#define OPEN(name)                                                            \
  int name(const char *path, int flags, ...) {                                \
    REAL(name);                                                               \
    mode_t mode = 0;                                                          \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
    if (!below(path)) { int fd = real(path, flags, mode); closed(fd); return fd; } \
    pthread_mutex_lock(&mutex);                                               \
    int there = is_there(path), fd = -1;                                      \
    if ((flags & O_CREAT) && !there && !control->left) { control->refused++; errno = ENOSPC; } \
    else fd = opened(real(path, flags, mode), path, flags, there);            \
    int error = errno;                                                        \
    pthread_mutex_unlock(&mutex);                                             \
    errno = error;                                                            \
    return fd;                                                                \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  REAL(close);
  closed(fd);
  return real(fd);
}

static int tracked(int fd) { return fd >= 0 && fd < FDS && (fds[fd].kind == FILE_ || fds[fd].kind == RING_); }

/* Whether the file may grow to this size; takes the growth from what is left. */
static int has_room(int fd, int64_t end) {
  struct stat found;
  if (control->left < 0 || fstat(fd, &found) || end <= found.st_size) return 1;
  if (end - found.st_size > control->left) { control->refused++; errno = ENOSPC; return 0; }
  control->left -= end - found.st_size;
  return 1;
}

static void freed(int64_t octets) { if (control->left >= 0 && octets > 0) control->left += octets; }

ssize_t write(int fd, const void *octets, size_t length) {
  REAL(write);
  if (!tracked(fd)) return real(fd, octets, length);
  pthread_mutex_lock(&mutex);
  int64_t at = (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
  ssize_t done = has_room(fd, at + (int64_t)length) ? real(fd, octets, length) : -1;
  if (done > 0) note(WRITE, fds[fd].inode, at, octets, done, NULL);
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return done;
}

#define PWRITE(name, offset_t)                                                \
  ssize_t name(int fd, const void *octets, size_t length, offset_t at) {      \
    REAL(name);                                                               \
    if (!tracked(fd)) return real(fd, octets, length, at);                    \
    pthread_mutex_lock(&mutex);                                               \
    ssize_t done = has_room(fd, at + (int64_t)length) ? real(fd, octets, length, at) : -1; \
    if (done > 0) note(WRITE, fds[fd].inode, at, octets, done, NULL);         \
    int error = errno;                                                        \
    pthread_mutex_unlock(&mutex);                                             \
    errno = error;                                                            \
    return done;                                                              \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE_(name, offset_t)                                             \
  int name(int fd, offset_t size) {                                           \
    REAL(name);                                                               \
    if (!tracked(fd)) return real(fd, size);                                  \
    pthread_mutex_lock(&mutex);                                               \
    struct stat before = {0};                                                 \
    fstat(fd, &before);                                                       \
    int done = has_room(fd, size) ? real(fd, size) : -1;                      \
    if (!done) { note(TRUNCATE, fds[fd].inode, size, "", 0, NULL); freed(before.st_size - size); } \
    int error = errno;                                                        \
    pthread_mutex_unlock(&mutex);                                             \
    errno = error;                                                            \
    return done;                                                              \
  }
TRUNCATE_(ftruncate, off_t)
TRUNCATE_(ftruncate64, off64_t)

#define SYNC_(name)                                                           \
  int name(int fd) {                                                          \
    REAL(name);                                                               \
    int kind = fd >= 0 && fd < FDS ? fds[fd].kind : NONE;                     \
    if (kind == NONE) return real(fd);                                        \
    int64_t lie = control->swallow;                                           \
    if ((lie == 1 && kind != FOLDER_) || (lie == 2 && kind == FOLDER_) || (lie == 3 && kind == RING_)) return 0; \
    /* Of the writes that others do meanwhile it promises nothing, so it stands where it began. */ \
    pthread_mutex_lock(&mutex);                                               \
    int done = real(fd);                                                      \
    if (control->slow) usleep(control->slow);                                 \
    if (!done) note(kind == FOLDER_ ? SYNC_FOLDER : SYNC, fds[fd].inode, 0, "", 0, NULL); \
    int error = errno;                                                        \
    pthread_mutex_unlock(&mutex);                                             \
    errno = error;                                                            \
    return done;                                                              \
  }
SYNC_(fsync)
SYNC_(fdatasync)

int rename(const char *from, const char *to) {
  REAL(rename);
  if (!below(from) && !below(to)) return real(from, to);
  pthread_mutex_lock(&mutex);
  int done = real(from, to);
  if (!done) note(RENAME, 0, 0, from, strlen(from), to);
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return done;
}

int unlink(const char *path) {
  REAL(unlink);
  if (!below(path)) return real(path);
  pthread_mutex_lock(&mutex);
  struct stat before = {0};
  stat(path, &before);
  int done = real(path);
  if (!done) { note(UNLINK, 0, 0, path, strlen(path), NULL); freed(before.st_size); }
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return done;
}

/* What is not followed must not happen unseen. */
int fallocate(int fd, int mode, off_t at, off_t length) {
  REAL(fallocate);
  if (tracked(fd)) { errno = EOPNOTSUPP; return -1; }
  return real(fd, mode, at, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  if (!tracked(fd) || !count) return real(fd, parts, count);
  return write(fd, parts[0].iov_base, parts[0].iov_len);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int done = real(clock, now);
  int64_t ahead = control->ahead;
  if (!done && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t nanoseconds = now->tv_nsec + (ahead % 1000) * 1000000;
    now->tv_sec += ahead / 1000 + (nanoseconds >= 1000000000) - (nanoseconds < 0);
    now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
  }
  return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  int done = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return done;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
