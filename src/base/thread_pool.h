// A team of threads for the parallel parts of one operation. The caller is its first member.
//
// Operations follow each other within microseconds while a token is computed, so workers spin
// briefly for the next one and then sleep in the kernel: an idle program costs nothing. The work of
// an operation is dealt out in equal parts, and whoever is done helps the others. A worker that the
// operating system keeps from running therefore costs its share of the speed, but is not waited for
// unless it is in the middle of a piece.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace aira {

class ThreadPool {
 public:
  /// A team of `threads` >= 1, the caller included.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int size() const { return static_cast<int>(workers_.size()) + 1; }

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
  static int usable_cores();

 private:
  using Call = void (*)(const void* body, std::int64_t begin, std::int64_t end, int member);

  /// What is left of one member's part: the round's number, the next piece and the end, in one word
  /// so that a piece is taken by one compare-and-swap, which fails for whoever is still in an
  /// earlier round. On a line of its own: its member polls it while others may take from it.
  struct alignas(64) Part {
    std::atomic<std::uint64_t> left{0};
  };

  void run(std::int64_t count, Call call, const void* body);
  void work(int member);
  /// Takes pieces of `round`, first of the member's own part, until there are none; true when it
  /// finished the last one of all.
  bool help(std::uint32_t round, int member);

  std::vector<std::thread> workers_;
  std::vector<Part> parts_;
  // Set by run before a round is published; whoever holds a piece of the round may read them.
  Call call_ = nullptr;
  const void* body_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t piece_ = 1;  // indices in a piece
  std::uint32_t pieces_ = 0;
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<std::uint32_t> done_{0};  // pieces of this round
};

}  // namespace aira
