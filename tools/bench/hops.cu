// hop-bench: what it costs to go from kernel to kernel, through a barrier between blocks and
// through a copy, and how fast memory is read and copied. These decide the form of a decode step
// (gpu.md). Prints a JSON object; medians.
#include <cooperative_groups.h>

#include <cstdio>
#include <string>

#include "kernel_timer.h"
#include "kernels/device.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kValues = 768;      // floats that each kernel passes on to all blocks of the next
constexpr int kRepetitions = 20;  // in one call, so that a call's own cost is small
constexpr int kRounds = 1000;

__global__ void __launch_bounds__(kThreads) empty_kernel() {
  grid_dependency_trigger();
  grid_dependency_wait();
}

/// Every block reads all of `in`; together they write `out`. Past the L1 cache: in barrier_rounds
/// other blocks write what this one has read before.
__device__ __forceinline__ void exchange(const float* in, float* out) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kValues; i += kThreads) sum += __ldcg(in + i + threadIdx.x);
  const unsigned at = blockIdx.x * kThreads + threadIdx.x;
  if (at < kValues) __stcg(out + at, 0.25F * sum);
}

__global__ void __launch_bounds__(kThreads) exchange_kernel(const float* in, float* out) {
  grid_dependency_trigger();
  grid_dependency_wait();
  exchange(in, out);
}

/// The same in one kernel, with a barrier between all blocks.
__global__ void __launch_bounds__(kThreads) barrier_rounds(float* values, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    exchange(values + round % 2 * kValues, values + (round + 1) % 2 * kValues);
    cooperative_groups::this_grid().sync();
  }
}

/// Reads everything once.
__global__ void __launch_bounds__(kThreads)
    read_memory(const uint4* from, std::int64_t count, unsigned* sink) {
  constexpr int kLoads = 4;
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * kThreads;
  unsigned any = 0;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       first < count; first += kLoads * threads) {
    uint4 loaded[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const std::int64_t at = first + i * threads;
      loaded[i] = at < count ? __ldcs(from + at) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int i = 0; i < kLoads; ++i) any |= loaded[i].x ^ loaded[i].y ^ loaded[i].z ^ loaded[i].w;
  }
  if (any == 0x5eed5eedU) *sink = any;  // so that the loads stay
}

class Hops {
 public:
  Hops() : blocks_(static_cast<unsigned>(multiprocessors())) {}

  void run() {
    for (const bool recorded : {false, true}) {
      for (const bool early : {false, true}) {
        const std::string how =
            std::string(recorded ? "graph" : "stream") + (early ? ", early" : "");
        const Stream stream = {bench_.stream().stream, early};
        hop("empty kernel, " + how, recorded, [&](int) {
          launch({.grid = blocks_, .block = kThreads, .stream = stream, .name = "empty_kernel"},
                 empty_kernel);
        });
        hop("exchange, " + how, recorded, [&](int i) {
          launch({.grid = blocks_, .block = kThreads, .stream = stream, .name = "exchange_kernel"},
                 exchange_kernel, values_ + i % 2 * kValues, values_ + (i + 1) % 2 * kValues);
        });
      }
    }
    barrier();
    copies();
    bandwidth("copy", bench_.copy_bandwidth());
    bandwidth("read", static_cast<double>(kBytes) / bench_.time([&](std::int64_t) {
      launch({.grid = 8 * blocks_,
              .block = kThreads,
              .stream = bench_.stream(),
              .name = "read_memory"},
             read_memory, static_cast<const uint4*>(bench_.weights(0, kBytes)), kBytes / 16, sink_);
    }));
    std::printf("{\"microseconds\": {%s},\n\"gb_per_second\": {%s}}\n", times_.c_str(),
                rates_.c_str());
  }

 private:
  static void add(std::string& to, const std::string& name, double number) {
    if (!to.empty()) to += ", ";
    to += "\"" + name + "\": " + std::to_string(number);
  }
  void bandwidth(const std::string& name, double bytes_per_second) {
    add(rates_, name, bytes_per_second / 1e9);
  }
  template <typename Run>
  void hop(const std::string& name, bool recorded, const Run& run) {
    const double seconds = bench_.time(
        [&](std::int64_t) {
          for (int i = 0; i < kRepetitions; ++i) run(i);
        },
        recorded);
    add(times_, name, seconds / kRepetitions * 1e6);
  }

  void barrier() {
    int rounds = kRounds;
    float* values = values_;
    void* arguments[] = {&values, &rounds};
    const double seconds = bench_.time(
        [&](std::int64_t) {
          // Cooperative: an error, not a hang, where the blocks do not all fit at once.
          check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(barrier_rounds),
                                            dim3(blocks_), dim3(kThreads), arguments, 0,
                                            bench_.stream().stream),
                "starting barrier_rounds");
        },
        false);
    add(times_, "exchange, barrier", seconds / kRounds * 1e6);
  }

  /// As a step begins: a small copy in; and large ones.
  void copies() {
    const Buffer host = allocate_pinned(kCopied);
    std::byte* device = bench_.memory<std::byte>(kCopied);
    const auto copy = [&](std::int64_t bytes, cudaMemcpyKind kind) {
      const bool in = kind == cudaMemcpyHostToDevice;
      check(cudaMemcpyAsync(in ? static_cast<void*>(device) : host.get(),
                            in ? host.get() : static_cast<void*>(device),
                            static_cast<std::size_t>(bytes), kind, bench_.stream().stream),
            "copying");
    };
    hop("copy of 4 KB in, stream", false, [&](int) { copy(4096, cudaMemcpyHostToDevice); });
    hop("copy of 4 KB in and empty kernel, stream", false, [&](int) {
      copy(4096, cudaMemcpyHostToDevice);
      launch({.grid = blocks_,
              .block = kThreads,
              .stream = {bench_.stream().stream, false},
              .name = "empty_kernel"},
             empty_kernel);
    });
    for (const auto& [name, kind] : {std::pair{"to the device", cudaMemcpyHostToDevice},
                                     {"to the host", cudaMemcpyDeviceToHost}}) {
      const double seconds =
          bench_.time([&, kind = kind](std::int64_t) { copy(kCopied, kind); }, false);
      bandwidth(name, static_cast<double>(kCopied) / seconds);
    }
  }

  static constexpr std::int64_t kBytes = 256 << 20;  // all of the timer's pool
  static constexpr std::int64_t kCopied = 64 << 20;
  KernelTimer bench_{false};
  unsigned blocks_;
  float* values_ = bench_.zeros<float>(2 * kValues);
  unsigned* sink_ = bench_.zeros<unsigned>(1);
  std::string times_, rates_;
};

}  // namespace
}  // namespace aira::cuda

int main() {
  try {
    aira::cuda::Hops().run();
    return 0;
  } catch (const aira::Error& error) {
    std::fprintf(stderr, "hop-bench: error: %s\n", error.what());
    return 1;
  }
}
