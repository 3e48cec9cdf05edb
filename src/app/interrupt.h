// Ctrl-C as a flag and a wake-up instead of sudden death.
#pragma once

#include <functional>
#include <thread>

#include "base/mapped_file.h"

namespace aira {

/// From now on SIGINT calls interrupt(). A SIGINT that the calling shell ignores (a background
/// job) stays ignored.
void catch_interrupts();

/// Sets interrupted() and ends every wait_readable.
void interrupt();
bool interrupted();
void clear_interrupt();

/// Waits until `fd` can be read without blocking; false when interrupted. Calls `redraw` when the
/// terminal needs it: the window has changed its size, or the program continues after Ctrl-Z.
bool wait_readable(int fd, void (*redraw)() = nullptr);

/// While this lives, the first interrupt() also calls `act`, on a thread of its own.
class OnInterrupt {
 public:
  /// Throws Error when the system has no thread to give.
  explicit OnInterrupt(std::function<void()> act);
  ~OnInterrupt();

 private:
  Descriptor end_;  // an eventfd
  std::jthread thread_;
};

}  // namespace aira
