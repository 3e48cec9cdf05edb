#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>

#include "aira/error.h"
#include "base/cpus.h"

namespace aira {
namespace {

// Long enough to bridge the gap between two operations (a few microseconds), short enough that a
// thread soon yields the core that it may share with the one it waits for.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is not `old`: spins, then sleeps.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

/// Pieces of an operation for each member: enough to even out members that are held up, few enough
/// that taking one costs nothing.
constexpr std::int64_t kPiecesPerMember = 16;
constexpr int kMostThreads = 1024;

/// Moves a new thread to another CPU if it is queued on the caller's. On a virtual machine, where
/// idle CPUs look busy to Linux, it would stay there without running until the next balancing, for
/// 4 to 12 ms.
void move_from_here(std::thread& thread, const cpu_set_t& allowed) {
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return;
  cpu_set_t others = allowed;
  CPU_CLR(here, &others);
  if (pthread_setaffinity_np(thread.native_handle(), sizeof others, &others) != 0) return;
  pthread_setaffinity_np(thread.native_handle(), sizeof allowed, &allowed);
}

/// A thread that is just ending still counts.
constexpr int kAttempts = 100;
constexpr std::chrono::milliseconds kBetween{2};

}  // namespace

std::jthread new_thread(std::function<void()> work) {
  for (int attempt = 1;; ++attempt) {
    try {
      return std::jthread(work);
    } catch (const std::system_error& error) {
      if (attempt == kAttempts) {
        throw Error(
            "[E232] The system allows this program no further thread ({}); end other programs, or "
            "raise the limit (ulimit -u, ulimit -v).",
            {system_message(error.code().value())});
      }
      std::this_thread::sleep_for(kBetween);
    }
  }
}

ThreadPool::ThreadPool(int threads)
    : parts_(static_cast<std::size_t>(std::clamp(threads, 1, kMostThreads))),
      size_(static_cast<int>(parts_.size())) {
  try {
    workers_.reserve(parts_.size());
    for (int member = 1; member < size_; ++member) {
      workers_.emplace_back([this, member] { work(member); });
    }
  } catch (const std::exception&) {  // no memory for a stack, or for a thread's bookkeeping
    // Others need threads too: whoever steps, prints, waits for Ctrl-C or writes the cache.
    constexpr int kOthers = 4;
    resize(std::max(1, static_cast<int>(workers_.size()) + 1 - kOthers));
  }
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || size_ > CPU_COUNT(&allowed)) return;
  for (std::thread& worker : workers_) move_from_here(worker, allowed);
}

ThreadPool::~ThreadPool() { resize(1); }

/// Ends all workers but the first.
void ThreadPool::resize(int size) {
  size_ = size;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (; std::ssize(workers_) >= size; workers_.pop_back()) workers_.back().join();
}

void ThreadPool::run(std::int64_t count, Call call, const void* body) {
  if (count <= 0) return;
  if (workers_.empty()) return call(body, 0, count, 0);
  call_ = call;
  body_ = body;
  count_ = count;
  piece_ = std::max<std::int64_t>(count / (size() * kPiecesPerMember), 1);
  const std::int64_t pieces = (count + piece_ - 1) / piece_;
  for (std::int64_t m = 0; m < size(); ++m) {
    Part& part = parts_[static_cast<std::size_t>(m)];
    part.next.store(pieces * m / size(), std::memory_order_relaxed);
    part.end = pieces * (m + 1) / size();
  }
  inside_.fetch_and(~kClosed, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  help(0);
  // Nobody enters from here on, and whoever is inside finishes a piece, if anything.
  inside_.fetch_or(kClosed, std::memory_order_relaxed);
  for (std::uint32_t now; (now = inside_.load(std::memory_order_acquire)) != kClosed;) {
    await_change(inside_, now);
  }
}

void ThreadPool::help(int member) {
  // The caller looks at all parts; if everybody did, many members would do little else.
  constexpr int kNeighbours = 16;
  const int members = size();
  const int seen = member == 0 ? members : std::min(members, kNeighbours + 1);
  for (int i = 0; i < seen; ++i) {
    Part& part = parts_[static_cast<std::size_t>((member + i) % members)];
    while (part.next.load(std::memory_order_relaxed) < part.end) {
      const std::int64_t piece = part.next.fetch_add(1, std::memory_order_relaxed);
      if (piece >= part.end) break;
      const std::int64_t begin = piece * piece_;
      call_(body_, begin, std::min(begin + piece_, count_), member);
    }
  }
}

void ThreadPool::work(int member) {
  for (std::uint32_t seen = 0;;) {
    await_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (member >= size()) return;
    // A worker that comes late finds the operation closed, or a later one open.
    if ((inside_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) help(member);
    if (inside_.fetch_sub(1, std::memory_order_release) == (kClosed | 1)) inside_.notify_one();
  }
}

int ThreadPool::usable_cores() {
  // More only wait for each other: at the end of each operation, and for memory.
  constexpr int kMost = 64;
  const std::vector<int> cpus = allowed_cpus();
  int count =
      cpus.empty() ? static_cast<int>(std::thread::hardware_concurrency()) : count_cores(cpus);
  if (const std::optional<double> quota = cpu_quota(); quota && *quota < count) {
    count = static_cast<int>(*quota);
  }
  return std::clamp(count, 1, kMost);
}

}  // namespace aira
