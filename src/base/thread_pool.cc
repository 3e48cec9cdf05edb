#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <utility>

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

/// The CPUs that this process may use; none when the system does not say.
cpu_set_t allowed_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_ZERO(&allowed);
  return allowed;
}

/// CPUs' worth of time that the cgroup grants, or a negative number when it sets no limit.
double cgroup_cpus() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0) return std::stod(quota) / period;
  double v1_quota = -1;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> v1_quota;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  return v1_quota > 0 && period > 0 ? v1_quota / period : -1;
}

/// Moves a new thread to another CPU if it is queued on the caller's. On a virtual machine, where
/// idle CPUs look busy to Linux, it would stay there without running until the next balancing, for
/// 4 to 12 ms.
void move_from_here(std::thread& thread, const cpu_set_t& allowed) {
  const int here = sched_getcpu();
  if (here < 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(here, &others);
  if (pthread_setaffinity_np(thread.native_handle(), sizeof others, &others) != 0) return;
  pthread_setaffinity_np(thread.native_handle(), sizeof allowed, &allowed);
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : parts_(static_cast<std::size_t>(std::clamp(threads, 1, kMostThreads))) {
  for (int member = 1; member < size(); ++member) {
    workers_.emplace_back([this, member] { work(member); });
  }
  const cpu_set_t allowed = allowed_cpus();
  if (size() > CPU_COUNT(&allowed)) return;
  for (std::thread& worker : workers_) move_from_here(worker, allowed);
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
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
  for (int i = 0; i < size(); ++i) {
    Part& part = parts_[static_cast<std::size_t>((member + i) % size())];
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
    if (stopping_) return;
    // A worker that comes late finds the operation closed, or a later one open.
    if ((inside_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) help(member);
    if (inside_.fetch_sub(1, std::memory_order_release) == (kClosed | 1)) inside_.notify_one();
  }
}

int ThreadPool::usable_cores() {
  const cpu_set_t allowed = allowed_cpus();
  if (CPU_COUNT(&allowed) == 0) {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  // SMT siblings share their core's arithmetic and its path to memory: count cores, not threads.
  std::set<std::pair<int, int>> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = 0;
    int core = cpu;
    std::ifstream(topology + "physical_package_id") >> package;
    std::ifstream(topology + "core_id") >> core;
    cores.emplace(package, core);
  }
  int count = static_cast<int>(cores.size());
  if (const double quota = cgroup_cpus(); quota > 0) {
    count = std::min(count, static_cast<int>(std::ceil(quota)));
  }
  return std::max(1, count);
}

}  // namespace aira
