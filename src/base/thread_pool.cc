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
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

/// Pieces of an operation for each member: enough to even out members that are held up, few enough
/// that taking one costs nothing.
constexpr std::int64_t kPiecesPerMember = 16;
/// So that pieces fit the 16 bits that a part has for them.
constexpr int kMostThreads = 1024;

constexpr std::uint64_t pack(std::uint32_t round, std::int64_t next, std::int64_t end) {
  return static_cast<std::uint64_t>(round) << 32 | static_cast<std::uint64_t>(next) << 16 |
         static_cast<std::uint64_t>(end);
}

/// CPUs that this process may use.
int allowed_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 0;
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

}  // namespace

void move_from_here(std::thread& thread) {
  const int here = sched_getcpu();
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(here, &others);
  if (pthread_setaffinity_np(thread.native_handle(), sizeof others, &others) != 0) return;
  pthread_setaffinity_np(thread.native_handle(), sizeof allowed, &allowed);
}

ThreadPool::ThreadPool(int threads)
    : parts_(static_cast<std::size_t>(std::clamp(threads, 1, kMostThreads))) {
  for (int member = 1; member < static_cast<int>(parts_.size()); ++member) {
    workers_.emplace_back([this, member] { work(member); });
  }
  if (size() > allowed_cpus()) return;
  for (std::thread& worker : workers_) move_from_here(worker);
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
  pieces_ = static_cast<std::uint32_t>(pieces);
  done_.store(0, std::memory_order_relaxed);
  const std::uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  for (std::int64_t m = 0; m < size(); ++m) {
    parts_[static_cast<std::size_t>(m)].left.store(
        pack(round, pieces * m / size(), pieces * (m + 1) / size()), std::memory_order_release);
  }
  round_.store(round, std::memory_order_release);
  round_.notify_all();
  if (help(round, 0)) return;
  for (std::uint32_t done; (done = done_.load(std::memory_order_acquire)) != pieces_;) {
    await_change(done_, done);
  }
}

bool ThreadPool::help(std::uint32_t round, int member) {
  bool last = false;
  for (int i = 0; i < size(); ++i) {
    std::atomic<std::uint64_t>& left = parts_[static_cast<std::size_t>((member + i) % size())].left;
    std::uint64_t seen = left.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(seen >> 32) == round) {
      const auto next = static_cast<std::int64_t>(seen >> 16 & 0xffff);
      if (next == static_cast<std::int64_t>(seen & 0xffff)) break;
      if (!left.compare_exchange_weak(seen, seen + (1U << 16), std::memory_order_acq_rel)) continue;
      // The piece is ours, so the round cannot end, nor its fields change, before it is done.
      const std::int64_t begin = next * piece_;
      call_(body_, begin, std::min(begin + piece_, count_), member);
      const std::uint32_t total = pieces_;
      last = done_.fetch_add(1, std::memory_order_acq_rel) + 1 == total;
      seen = left.load(std::memory_order_acquire);
    }
  }
  return last;
}

void ThreadPool::work(int member) {
  for (std::uint32_t seen = 0;;) {
    await_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stopping_) return;
    if (help(seen, member)) done_.notify_one();
  }
}

int ThreadPool::usable_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
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
