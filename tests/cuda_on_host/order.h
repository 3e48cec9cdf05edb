// What is ordered before what, told to ThreadSanitizer: each CUDA thread is one of its fibres, each
// barrier, stream and event a clock that threads release into and acquire from. Without AIRA_TSAN
// all of it is nothing. Only the shim's own runtime includes this; that is compiled without
// instrumentation, so its bookkeeping neither orders the kernels' accesses nor looks like one.
#pragma once

#include <cstdint>

#ifdef AIRA_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace cuda_on_host {

#ifdef AIRA_TSAN
constexpr bool kDetectsRaces = true;
#else
constexpr bool kDetectsRaces = false;
#endif

/// A set of events that have happened, known to ThreadSanitizer by its address. One is never used
/// again for something else: free() makes it forgotten.
struct Clock {
  std::uint64_t unused = 0;

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  /// Adds what the running thread knows.
  void release() {
#ifdef AIRA_TSAN
    __tsan_release(this);
#endif
  }
  /// What follows in the running thread comes after everything in here.
  void acquire() {
#ifdef AIRA_TSAN
    __tsan_acquire(this);
#endif
  }
};

/// Whoever accesses memory: a host thread, a stream that copies, the janitor that frees. Those that
/// are no threads use the stack of one; while an As lives, what that does is the actor's doing.
class Actor {
 public:
#ifdef AIRA_TSAN
  Actor() : fibre_(__tsan_create_fiber(0)), owned_(true) {}
  ~Actor() {
    if (owned_) __tsan_destroy_fiber(fibre_);
  }
  /// The running thread.
  static Actor running() { return Actor(__tsan_get_current_fiber()); }
#else
  Actor() {}
  ~Actor() {}
  static Actor running() { return Actor(nullptr); }
#endif
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

 private:
  explicit Actor(void* fibre) : fibre_(fibre) {}

  friend class As;
  void* fibre_ = nullptr;
  bool owned_ = false;
};

class As {
 public:
#ifdef AIRA_TSAN
  explicit As(const Actor& actor) : before_(__tsan_get_current_fiber()) {
    __tsan_switch_to_fiber(actor.fibre_, __tsan_switch_to_fiber_no_sync);
  }
  ~As() { __tsan_switch_to_fiber(before_, __tsan_switch_to_fiber_no_sync); }
#else
  explicit As(const Actor& actor) { static_cast<void>(actor); }
  ~As() {}
#endif
  As(const As&) = delete;
  As& operator=(const As&) = delete;

 private:
  void* before_ = nullptr;
};

}  // namespace cuda_on_host
