// A pool of threads for the parallel parts of an operation. The caller is its first member.
//
// While a token is computed, operations follow each other within microseconds, so workers spin
// briefly for the next one and then sleep in the kernel: an idle program costs nothing. Each member
// gets an equal, contiguous part of an operation in pieces, and helps others when it is done: a
// worker that the operating system does not run is not waited for, unless it is in the middle of a
// piece. (One counter for all, which deals pieces out in turn, costs a tenth of int8 decoding and a
// sixth of its prompts: weights are prefetched past the end of a piece.)
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace aira {

/// A thread that does `work`. Throws Error when the system has none to give, not even after some
/// time.
std::jthread new_thread(std::function<void()> work);

class ThreadPool {
 public:
  /// `threads` >= 1, the caller included; fewer when the system has no more, see size().
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int size() const { return size_.load(std::memory_order_relaxed); }

  /// Calls body(begin, end, member) for contiguous pieces that cover [0, count) once, on the
  /// calling thread (member 0) and on the workers, and returns when all are done. `body` must not
  /// throw and must not call this again; which member gets what is up to chance.
  template <typename Body>
  void split(std::int64_t count, const Body& body) {
    run(
        count,
        [](const void* self, std::int64_t begin, std::int64_t end, int member) {
          (*static_cast<const Body*>(self))(begin, end, member);
        },
        &body);
  }

  /// Physical cores that this process may use: affinity, cgroup quota and SMT siblings considered.
  /// At most 64.
  static int usable_cores();

 private:
  using Call = void (*)(const void* body, std::int64_t begin, std::int64_t end, int member);

  /// A member's pieces, on a cache line of their own.
  struct alignas(64) Part {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };

  void run(std::int64_t count, Call call, const void* body);
  void work(int member);
  void resize(int size);
  /// Takes pieces, the member's own first, until none are left.
  void help(int member);

  // An operation. Written while it is closed; read by those inside only.
  std::vector<Part> parts_;  // of each member
  std::atomic<int> size_;    // members; workers from here on end
  Call call_ = nullptr;
  const void* body_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t piece_ = 1;  // indices in a piece

  static constexpr std::uint32_t kClosed = 1U << 31;
  alignas(64) std::atomic<std::uint32_t> round_{0};         // operations so far
  alignas(64) std::atomic<std::uint32_t> inside_{kClosed};  // workers, and whether it is closed
  std::vector<std::thread> workers_;
};

}  // namespace aira
