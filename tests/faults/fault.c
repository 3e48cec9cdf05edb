// Preloaded into aira-cli (LD_PRELOAD): makes one system call or library function fail while main()
// runs, or come short, or come late. tests/cli/faults.py says which in $FAULT:
//
//   CALL:N:HOW[+]   the N-th CALL (from 1, of all threads), with + also all that follow
//
// HOW is an errno as a number; "short", half of what was asked for; "late", after $FAULT_DELAY
// microseconds; for clocks "jump", $FAULT_DELAY seconds are added from then on; "kill", the process
// is killed instead; with + "torn", half of it is done and the next such call kills. With
// $FAULT_COUNTS, a line "CALL COUNT" for each function is appended to that file at the end of
// main().
#include "fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char* const names[] = {
#define NAME(name) #name,
    CALLS(NAME)
#undef NAME
};

static atomic_long counts[call_count];
static atomic_int active;
static int chosen = -1;
static long first, last;
static int how;
static long delay;

long fault_delay(void) { return delay; }

int fault(enum Call call) {
  if (!atomic_load(&active)) return 0;
  const long number = atomic_fetch_add(&counts[call], 1) + 1;
  if ((int)call != chosen || number < first || number > last) return 0;
  if (how == kKill || (how == kTorn && number > first)) syscall(SYS_kill, getpid(), SIGKILL);
  if (how == kTorn) return kShort;
  if (how != kLate) return how;
  const struct timespec time = {delay / 1000000, delay % 1000000 * 1000};
  syscall(SYS_nanosleep, &time, NULL);
  return 0;
}

static void read_plan(void) {
  const char* plan = getenv("FAULT");
  if (plan == NULL) return;
  char name[32] = "", kind[32] = "";
  if (sscanf(plan, "%31[^:]:%ld:%31s", name, &first, kind) != 3) abort();
  for (int i = 0; i < call_count; ++i) {
    if (strcmp(names[i], name) == 0) chosen = i;
  }
  if (chosen < 0) abort();
  last = kind[strlen(kind) - 1] == '+' ? __LONG_MAX__ : first;
  how = strncmp(kind, "short", 5) == 0  ? kShort
        : strncmp(kind, "late", 4) == 0 ? kLate
        : strncmp(kind, "jump", 4) == 0 ? kJump
        : strncmp(kind, "kill", 4) == 0 ? kKill
        : strncmp(kind, "torn", 4) == 0 ? kTorn
                                        : atoi(kind);
  if (getenv("FAULT_DELAY") != NULL) delay = atol(getenv("FAULT_DELAY"));
}

static void write_counts(void) {
  const char* path = getenv("FAULT_COUNTS");
  if (path == NULL) return;
  char text[4096];
  int length = 0;
  for (int i = 0; i < call_count; ++i) {
    const long count = atomic_load(&counts[i]);
    length += snprintf(text + length, sizeof text - length, "%s %ld\n", names[i], count);
  }
  const int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  syscall(SYS_write, file, text, (size_t)length);
  syscall(SYS_close, file);
}

static int (*real_main)(int, char**, char**);

static int counted_main(int argc, char** argv, char** environment) {
  read_plan();
  find_careless_libraries();
  atomic_store(&active, 1);
  const int code = real_main(argc, argv, environment);
  atomic_store(&active, 0);
  write_counts();
  return code;
}

int __libc_start_main(int (*program)(int, char**, char**), int argc, char** argv,
                      void (*init)(void), void (*fini)(void), void (*loader_fini)(void),
                      void* stack_end) {
  int (*start)(int (*)(int, char**, char**), int, char**, void (*)(void), void (*)(void),
               void (*)(void), void*);
  *(void**)&start = next("__libc_start_main");
  real_main = program;
  return start(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}
