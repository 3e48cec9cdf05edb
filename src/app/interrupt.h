// Ctrl-C as a flag and a wake-up instead of sudden death.
#pragma once

#include <functional>
#include <thread>

namespace aira {

/// From now on SIGINT sets interrupted(). A SIGINT that the calling shell ignores (a background
/// job) stays ignored.
void catch_interrupts();

/// Set by Ctrl-C, reset by clear_interrupt().
bool interrupted();
void clear_interrupt();

/// From now on wait_readable calls `redraw` when the terminal needs it: the window has changed its
/// size, or the program continues after Ctrl-Z.
void redraw_with(void (*redraw)());

/// Waits until `fd` can be read without blocking. False after Ctrl-C or stop_waiting().
bool wait_readable(int fd);
/// Ends wait_readable for good, whatever thread it runs on.
void stop_waiting();

/// While this lives, the first Ctrl-C also calls `act`, on a thread of its own.
class OnInterrupt {
 public:
  explicit OnInterrupt(std::function<void()> act);
  OnInterrupt(const OnInterrupt&) = delete;
  OnInterrupt& operator=(const OnInterrupt&) = delete;
  ~OnInterrupt();

 private:
  void watch(const std::function<void()>& act) const;

  int end_;  // an eventfd
  std::thread thread_;
};

}  // namespace aira
