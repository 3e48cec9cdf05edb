// A team of threads for the parallel parts of one operation. The caller is its first member.
//
// Operations follow each other within microseconds while a token is computed, so workers spin
// briefly for the next one; then they sleep in the kernel, so that an idle program costs nothing
// and more threads than cores only lose the time of a wake-up.
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

  /// Calls task(member) once for each member 0..size()-1, member 0 on the calling thread, and
  /// returns when all are done. `task` must not throw and must not call run again.
  template <typename Task>
  void run(const Task& task) {
    run_erased([](const void* self, int member) { (*static_cast<const Task*>(self))(member); },
               &task);
  }

  /// Splits [0, count) into contiguous parts, one per member, and calls body(begin, end) for those
  /// that are not empty. Which member gets what depends on count and size() alone.
  template <typename Body>
  void split(std::int64_t count, const Body& body) {
    run([&](int member) {
      const std::int64_t begin = count * member / size();
      const std::int64_t end = count * (member + 1) / size();
      if (begin < end) body(begin, end);
    });
  }

  /// Physical cores that this process may use: affinity, cgroup quota and SMT siblings considered.
  static int usable_cores();

 private:
  using Call = void (*)(const void* task, int member);
  void run_erased(Call call, const void* task);
  void work(int member);

  std::vector<std::thread> workers_;
  Call call_ = nullptr;
  const void* task_ = nullptr;
  bool stopping_ = false;
  // On lines of their own: everyone polls these.
  alignas(64) std::atomic<std::uint32_t> round_{0};    // the current run's number
  alignas(64) std::atomic<std::uint32_t> pending_{0};  // workers that have not finished it
};

}  // namespace aira
