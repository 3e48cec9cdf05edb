// Fibres: stacks that the scheduler switches between, one for each CUDA thread that has begun and
// not ended. The switch is a few lines of assembly (x86-64, aarch64), about a nanosecond:
// ucontext's makes a system call each time, and a kernel switches millions of times.
// AddressSanitizer and ThreadSanitizer are told of every switch.
#pragma once

#include <cstddef>
#include <vector>

#include "order.h"

namespace cuda_on_host {

class Fibre {
 public:
  /// A fibre that runs `body` once for every time it is begun.
  explicit Fibre(void (*body)());
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
  ~Fibre();

  /// From the scheduler's stack into the fibre, until that calls suspend() or its body ends.
  void resume();
  /// From the running fibre back to the scheduler's stack.
  static void suspend();
  /// Adds what the fibre, which does not run, knows.
  void release(Clock& clock) const;

 private:
  static void loop();

  void (*body_)();
  char* stack_ = nullptr;  // the guard page first
  void* stack_pointer_ = nullptr;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  void* race_fibre_ = nullptr;  // ThreadSanitizer's
};

/// Fibres for reuse. With ThreadSanitizer a fibre knows what it has seen in its earlier lives, so
/// the one that rested longest is taken and a number of them must rest: neighbouring blocks and
/// consecutive kernels then share none. More would cost: ThreadSanitizer takes a megabyte and a
/// millisecond for each.
class FibrePool {
 public:
  explicit FibrePool(void (*body)()) : body_(body) {}
  FibrePool(const FibrePool&) = delete;
  FibrePool& operator=(const FibrePool&) = delete;

  /// One of a block of this many.
  Fibre* take(std::size_t block_threads);
  void give_back(Fibre* fibre);

 private:
  void (*body_)();
  std::vector<Fibre*> resting_;  // a ring from oldest_ with ThreadSanitizer, else a stack
  std::size_t oldest_ = 0;
  std::size_t must_rest_ = 0;
};

}  // namespace cuda_on_host
