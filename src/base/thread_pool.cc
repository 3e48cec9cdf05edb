#include "base/thread_pool.h"

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
// thread that shares its core with the one it waits for gives the core away soon.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` differs from `old`: spins, then sleeps.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
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

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
  for (int member = 1; member < threads; ++member) {
    workers_.emplace_back([this, member] { work(member); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(Call call, const void* task) {
  if (!workers_.empty()) {
    call_ = call;
    task_ = task;
    pending_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  call(task, 0);
  for (std::uint32_t left; (left = pending_.load(std::memory_order_acquire)) != 0;) {
    await_change(pending_, left);
  }
}

void ThreadPool::work(int member) {
  for (std::uint32_t seen = 0;; ++seen) {
    await_change(round_, seen);
    if (stopping_) return;
    call_(task_, member);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
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
