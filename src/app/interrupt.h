// Ctrl-C, SIGTERM and SIGHUP as a flag and a wake-up instead of sudden death.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "base/mapped_file.h"

namespace aira {

/// From now on SIGINT, SIGTERM and SIGHUP call interrupt(). One that the caller ignores (nohup, a
/// background job) stays ignored.
void catch_interrupts();

/// Sets interrupted() and ends every wait_readable.
void interrupt();
bool interrupted();
/// Forgets a Ctrl-C; SIGTERM and SIGHUP are there to stay.
void clear_interrupt();
/// Whether SIGTERM or SIGHUP has come.
bool terminated();
/// Ends the process by the signal that has come, if any, as if it had never been caught: a shell's
/// loop ends with the command that dies by Ctrl-C, not with one that exits. For the end of main().
void end_by_signal();

/// Waits until `fd` can be read without blocking; false when interrupted. Calls `redraw` when the
/// terminal needs it: the window has changed its size, or the program continues after Ctrl-Z.
bool wait_readable(int fd, void (*redraw)() = nullptr);
/// Waits until a little can be written to `fd` without blocking. After an interrupt it waits for a
/// second at most: false when nobody has read by then.
bool wait_writable(int fd);

/// While this lives, the first interrupt() also calls `act`, on a thread of its own.
class OnInterrupt {
 public:
  /// With `patience`, a process that a signal interrupted ends by it when this still lives so long
  /// afterwards. Throws Error when the system has no thread to give.
  explicit OnInterrupt(std::function<void()> act,
                       std::optional<std::chrono::milliseconds> patience = {});
  ~OnInterrupt();

 private:
  Descriptor end_;  // an eventfd
  std::jthread thread_;
};

}  // namespace aira
