// What the parts of the shim share; fault.c says what it is.
#pragma once

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

// operator new is a malloc, too. (clang-format would indent the list further each time.)
// clang-format off
#define CALLS(X) \
  X(accept) X(bind) X(calloc) X(clock_gettime) X(close) X(connect) X(dup) X(epoll_ctl) \
  X(epoll_wait) X(eventfd) X(fallocate) X(fdatasync) X(flock) X(fopen) X(fstat) X(fsync) \
  X(ftruncate) X(getrandom) X(listen) X(lseek) X(lstat) X(malloc) X(memalign) X(mkdir) X(mmap) \
  X(mremap) X(open) X(opendir) X(poll) X(pread) X(pthread_create) X(pwrite) X(read) X(realloc) \
  X(recv) X(recvmsg) X(rename) X(send) X(sendmsg) X(socket) X(stat) X(symlink) X(unlink) \
  X(write)
// clang-format on

enum Call {
#define NAME_IN_ENUM(name) call_##name,
  CALLS(NAME_IN_ENUM)
#undef NAME_IN_ENUM
      call_count
};

enum { kShort = -1, kLate = -2, kJump = -3, kKill = -4, kTorn = -5 };

// 0 when the call is to do what it does; kShort, kJump, or an errno. Counts it.
int fault(enum Call call);
// Of kJump, in seconds.
long fault_delay(void);
// The functions of libraries for which memory_fault() never fails are found here, once.
void find_careless_libraries(void);

static inline void* next(const char* name) { return dlsym(RTLD_NEXT, name); }

// Sets `real`, once, to the function that is replaced by the one called `name`.
#define REAL(name)               \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))next(#name)

// Returns -1 from the function around it when this call is to fail.
#define FAIL_AS(call)                     \
  const int problem = fault(call_##call); \
  if (problem > 0) {                      \
    errno = problem;                      \
    return -1;                            \
  }
#define FAIL_OR_SHORTEN(call, size) \
  FAIL_AS(call)                     \
  if (problem == kShort) size = (size + 1) / 2
