// Files, sockets, threads and clocks.
#include "fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_uchar is_own[1024];  // of a pipe to itself, an eventfd, a timer: these do not fail

int clock_gettime(clockid_t clock, struct timespec* time) {
  REAL(clock_gettime);
  const int code = real(clock, time);
  // Only the clock on the wall can be set; the others stand still while the machine sleeps.
  if (fault(call_clock_gettime) == kJump && (clock == CLOCK_REALTIME || fault_delay() > 0)) {
    time->tv_sec += fault_delay();
  }
  return code;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* argument) {
  REAL(pthread_create);
  const int problem = fault(call_pthread_create);
  return problem > 0 ? problem : real(thread, attributes, body, argument);
}

static int open_mode(int folder, const char* path, int flags, va_list more) {
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  FAIL_AS(open)
  return (int)syscall(SYS_openat, folder, path, flags, mode);
}
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int file = open_mode(AT_FDCWD, path, flags, more);
  va_end(more);
  return file;
}
int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int file = open_mode(folder, path, flags, more);
  va_end(more);
  return file;
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));

FILE* fopen(const char* path, const char* mode) {
  REAL(fopen);
  const int problem = fault(call_fopen);
  if (problem == 0) return real(path, mode);
  errno = problem;
  return NULL;
}
FILE* fopen64(const char* path, const char* mode) __attribute__((alias("fopen")));

DIR* opendir(const char* path) {
  REAL(opendir);
  const int problem = fault(call_opendir);
  if (problem == 0) return real(path);
  errno = problem;
  return NULL;
}

int close(int file) {
  REAL(close);
  if (file >= 0 && file < 1024) atomic_store(&is_own[file], 0);  // before others may get its number
  const int code = real(file);                                   // Linux closes it in any case
  FAIL_AS(close)
  return code;
}

// Functions that fail with -1. `64` in their names means nothing on a 64-bit machine.
#define FUNCTION(type, name, call, parameters, arguments) \
  type name parameters {                                  \
    REAL(name);                                           \
    FAIL_AS(call)                                         \
    return real arguments;                                \
  }
FUNCTION(int, bind, bind, (int fd, const struct sockaddr* to, socklen_t size), (fd, to, size))
FUNCTION(int, dup, dup, (int fd), (fd))
FUNCTION(int, epoll_wait, epoll_wait, (int e, struct epoll_event* events, int most, int timeout),
         (e, events, most, timeout))
FUNCTION(int, fallocate, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
FUNCTION(int, fallocate64, fallocate, (int fd, int mode, off_t at, off_t size),
         (fd, mode, at, size))
FUNCTION(int, fdatasync, fdatasync, (int fd), (fd))
FUNCTION(int, flock, flock, (int fd, int operation), (fd, operation))
FUNCTION(int, fstat, fstat, (int fd, struct stat* status), (fd, status))
FUNCTION(int, fstat64, fstat, (int fd, struct stat64* status), (fd, status))
FUNCTION(int, fsync, fsync, (int fd), (fd))
FUNCTION(int, ftruncate, ftruncate, (int fd, off_t size), (fd, size))
FUNCTION(int, ftruncate64, ftruncate, (int fd, off_t size), (fd, size))
FUNCTION(int, listen, listen, (int fd, int most), (fd, most))
FUNCTION(off_t, lseek, lseek, (int fd, off_t at, int whence), (fd, at, whence))
FUNCTION(off_t, lseek64, lseek, (int fd, off_t at, int whence), (fd, at, whence))
FUNCTION(int, lstat, lstat, (const char* path, struct stat* status), (path, status))
FUNCTION(int, lstat64, lstat, (const char* path, struct stat64* status), (path, status))
FUNCTION(int, mkdir, mkdir, (const char* path, mode_t mode), (path, mode))
FUNCTION(int, rename, rename, (const char* from, const char* to), (from, to))
FUNCTION(int, socket, socket, (int family, int type, int protocol), (family, type, protocol))
FUNCTION(int, stat, stat, (const char* path, struct stat* status), (path, status))
FUNCTION(int, stat64, stat, (const char* path, struct stat64* status), (path, status))
FUNCTION(int, symlink, symlink, (const char* target, const char* path), (target, path))
FUNCTION(int, renameat, rename, (int one, const char* from, int other, const char* to),
         (one, from, other, to))
FUNCTION(int, unlink, unlink, (const char* path), (path))
FUNCTION(int, unlinkat, unlink, (int folder, const char* path, int flags), (folder, path, flags))

struct pollfd;
typedef unsigned long Files;
int poll(struct pollfd* files, Files count, int timeout) {
  static int (*real)(struct pollfd*, Files, int);
  if (real == NULL) *(void**)&real = next("poll");
  FAIL_AS(poll)
  return real(files, count, timeout);
}

// Those that may come short.
#define TRANSFER(name, call, parameters, arguments) \
  ssize_t name parameters {                         \
    REAL(name);                                     \
    FAIL_OR_SHORTEN(call, size);                    \
    return real arguments;                          \
  }
TRANSFER(getrandom, getrandom, (void* data, size_t size, unsigned int flags), (data, size, flags))
TRANSFER(pread, pread, (int fd, void* data, size_t size, off_t at), (fd, data, size, at))
TRANSFER(pread64, pread, (int fd, void* data, size_t size, off_t at), (fd, data, size, at))
TRANSFER(pwrite, pwrite, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
TRANSFER(pwrite64, pwrite, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
TRANSFER(recv, recv, (int fd, void* data, size_t size, int flags), (fd, data, size, flags))
TRANSFER(send, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags))

static int own(int file) {
  if (file >= 0 && file < 1024) atomic_store(&is_own[file], 1);
  return file;
}
static int not_own(int file) { return file < 0 || file >= 1024 || !atomic_load(&is_own[file]); }

int eventfd(unsigned int value, int flags) {
  REAL(eventfd);
  FAIL_AS(eventfd)
  return own(real(value, flags));
}

int timerfd_create(int clock, int flags) {
  static int (*real)(int, int);
  if (real == NULL) *(void**)&real = next("timerfd_create");
  return own(real(clock, flags));
}

int pipe(int ends[2]) {
  REAL(pipe);
  const int code = real(ends);
  own(ends[0]);
  own(ends[1]);
  return code;
}

ssize_t read(int fd, void* data, size_t size) {
  REAL(read);
  if (!not_own(fd)) return real(fd, data, size);
  FAIL_OR_SHORTEN(read, size);
  return real(fd, data, size);
}

ssize_t write(int fd, const void* data, size_t size) {
  REAL(write);
  if (!not_own(fd)) return real(fd, data, size);
  FAIL_OR_SHORTEN(write, size);
  return real(fd, data, size);
}

// What is lost from the end of a message is asked for again by its receiver, or sent again.
#define MESSAGE(name, type)                         \
  ssize_t name(int fd, type message, int flags) {   \
    REAL(name);                                     \
    FAIL_AS(name)                                   \
    struct msghdr part = *message;                  \
    struct iovec piece;                             \
    if (problem == kShort && part.msg_iovlen > 0) { \
      piece = part.msg_iov[0];                      \
      piece.iov_len = (piece.iov_len + 1) / 2;      \
      part.msg_iov = &piece;                        \
      part.msg_iovlen = 1;                          \
    }                                               \
    return real(fd, &part, flags);                  \
  }
MESSAGE(recvmsg, struct msghdr*)
MESSAGE(sendmsg, const struct msghdr*)

// Only adding needs memory.
int epoll_ctl(int epoll, int how_to, int fd, struct epoll_event* event) {
  REAL(epoll_ctl);
  if (how_to != EPOLL_CTL_ADD || !not_own(fd)) return real(epoll, how_to, fd, event);
  FAIL_AS(epoll_ctl)
  return real(epoll, how_to, fd, event);
}

int accept(int fd, __SOCKADDR_ARG from, socklen_t* size) {
  static int (*real)(int, void*, socklen_t*);
  if (real == NULL) *(void**)&real = next("accept");
  const int problem = fault(call_accept);
  if (problem == ECONNABORTED) close(real(fd, from.__sockaddr__, size));  // it has gone
  if (problem > 0) {
    errno = problem;
    return -1;
  }
  return real(fd, from.__sockaddr__, size);
}
int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t size) {
  static int (*real)(int, const void*, socklen_t);
  if (real == NULL) *(void**)&real = next("connect");
  FAIL_AS(connect)
  return real(fd, to.__sockaddr__, size);
}
