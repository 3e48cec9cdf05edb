// Times kernels in graphs by events, beside the copy bandwidth measured in the same run, and keeps
// the results for one JSON object. Weights come from a pool larger than any L2 cache, in turn, as a
// model reads them: the same matrix again and again would be read from the cache.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"
#include "cuda/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {

class KernelTimer {
 public:
  explicit KernelTimer(bool tiny) : tiny_(tiny), pool_bytes_(tiny ? 1 << 20 : 256 << 20) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
    check(cudaEventCreate(&begin_), "creating an event");
    check(cudaEventCreate(&end_), "creating an event");
    pool_ = allocate_device(pool_bytes_);
    fill(pool_.get(), pool_bytes_);
    Buffer copy = allocate_device(pool_bytes_);
    const double seconds = time([&](std::int64_t) {
      check(cudaMemcpyAsync(copy.get(), pool_.get(), static_cast<std::size_t>(pool_bytes_),
                            cudaMemcpyDeviceToDevice, stream_),
            "copying");
    });
    copy_bandwidth_ = 2 * static_cast<double>(pool_bytes_) / seconds;
  }
  KernelTimer(const KernelTimer&) = delete;
  KernelTimer& operator=(const KernelTimer&) = delete;
  ~KernelTimer() {
    static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaEventDestroy(begin_));
    static_cast<void>(cudaEventDestroy(end_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }

  bool tiny() const { return tiny_; }
  /// Kernels start early, as in a step.
  Stream stream() const { return {stream_, true}; }
  double copy_bandwidth() const { return copy_bandwidth_; }  // bytes/s, read and written

  /// Memory with small random numbers of either type, kept until the end.
  template <typename T>
  T* memory(std::int64_t count) {
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    kept_.push_back(allocate_device(bytes));
    fill(kept_.back().get(), bytes);
    return static_cast<T*>(kept_.back().get());
  }
  std::int32_t* indices(const std::vector<std::int32_t>& values) {
    auto* to = memory<std::int32_t>(static_cast<std::int64_t>(values.size()));
    check(cudaMemcpy(to, values.data(), values.size() * 4, cudaMemcpyHostToDevice), "copying");
    return to;
  }
  template <typename T>
  T* zeros(std::int64_t count) {
    T* to = memory<T>(count);
    check(cudaMemset(to, 0, static_cast<std::size_t>(count) * sizeof(T)), "clearing");
    check(cudaDeviceSynchronize(), "clearing");
    return to;
  }
  void free_memory() {
    check(cudaStreamSynchronize(stream_), "measuring");
    kept_.clear();
  }
  /// The n-th of the blocks of `bytes` that the pool holds.
  const void* weights(std::int64_t n, std::int64_t bytes) const {
    const std::int64_t step = (bytes + 255) / 256 * 256;
    return static_cast<const std::byte*>(pool_.get()) +
           n % std::max<std::int64_t>(pool_bytes_ / step, 1) * step;
  }

  /// Median seconds of one call of `run(n)`, n counting up, among many in a graph as in a recorded
  /// step; or among many launched by the host.
  double time(const std::function<void(std::int64_t)>& run, bool recorded = true) {
    std::int64_t n = 0;
    for (int i = 0; i < (tiny_ ? 1 : 3); ++i) run(n++);
    // As many calls to a measurement as make the clock's step and a graph's start small beside it.
    const double once = measure([&] { run(n++); });
    const int calls = tiny_ ? 1 : std::clamp(static_cast<int>(1e-3 / once), 1, 400);
    const auto all = [&] {
      for (int i = 0; i < calls; ++i) run(n++);
    };
    cudaGraphExec_t graph = recorded ? record(all) : nullptr;
    std::vector<double> seconds;
    for (int i = 0; i < (tiny_ ? 1 : 15); ++i) {
      seconds.push_back(measure([&] {
                          if (!recorded) return all();
                          check(cudaGraphLaunch(graph, stream_), "measuring");
                        }) /
                        calls);
    }
    if (recorded) static_cast<void>(cudaGraphExecDestroy(graph));
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }
  /// Times it and keeps the result; `bytes` is what must be read and written at least.
  double add(const std::string& kernel, const std::string& shape, std::int64_t bytes,
             const std::function<void(std::int64_t)>& run) {
    const double seconds = time(run);
    const double rate = static_cast<double>(bytes) / seconds;
    std::array<char, 256> line{};
    std::snprintf(line.data(), line.size(),
                  R"({"kernel": "%s", "shape": "%s", "microseconds": %.3f, "gb_per_second": %.1f, )"
                  R"("percent_of_copy": %.1f})",
                  kernel.c_str(), shape.c_str(), seconds * 1e6, rate / 1e9,
                  100 * rate / copy_bandwidth_);
    results_.emplace_back(line.data());
    return seconds;
  }
  /// Keeps the seconds of a layer's linear maps over `rows` rows, by kernel.
  void add_linears(std::int64_t rows, const std::vector<std::pair<std::string, double>>& seconds) {
    std::string line = "{\"rows\": " + std::to_string(rows);
    for (const auto& [name, time] : seconds) {
      line += ", \"" + name + "_microseconds\": " + std::to_string(time * 1e6);
    }
    linears_.push_back(line + "}");
  }
  void print() const {
    const auto list = [](const std::vector<std::string>& lines) {
      std::string all;
      for (const std::string& line : lines) {
        all += all.empty() ? "\n  " : ",\n  ";
        all += line;
      }
      return all;
    };
    std::printf("{\"copy_gb_per_second\": %.1f,\n\"kernels\": [%s],\n\"linears\": [%s]}\n",
                copy_bandwidth_ / 1e9, list(results_).c_str(), list(linears_).c_str());
  }

 private:
  cudaGraphExec_t record(const std::function<void()>& run) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording");
    run();
    check(cudaStreamEndCapture(stream_, &graph), "recording");
    check(cudaGraphInstantiate(&exec, graph, 0), "recording");
    check(cudaGraphDestroy(graph), "recording");
    check(cudaGraphUpload(exec, stream_), "recording");
    return exec;
  }
  double measure(const std::function<void()>& run) {
    check(cudaEventRecord(begin_, stream_), "measuring");
    run();
    check(cudaEventRecord(end_, stream_), "measuring");
    check(cudaEventSynchronize(end_), "measuring");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_), "measuring");
    return std::max(1e-9, static_cast<double>(milliseconds) / 1e3);
  }
  /// Halves of either sign around 1/4, which as pairs are small floats too.
  void fill(void* to, std::int64_t bytes) const {
    std::vector<std::uint16_t> numbers(static_cast<std::size_t>(std::min(bytes, kPattern) / 2 + 1));
    std::uint32_t state = 1;
    for (std::uint16_t& x : numbers) {
      state = state * 1664525U + 1013904223U;
      x = float_to_half(static_cast<float>(state >> 8U) / (1U << 25U) - 0.25F);
    }
    for (std::int64_t at = 0; at < bytes; at += kPattern) {
      check(cudaMemcpy(static_cast<std::byte*>(to) + at, numbers.data(),
                       static_cast<std::size_t>(std::min(kPattern, bytes - at)),
                       cudaMemcpyHostToDevice),
            "copying");
    }
  }

  static constexpr std::int64_t kPattern = 1 << 20;
  bool tiny_;
  std::int64_t pool_bytes_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  Buffer pool_;
  std::vector<Buffer> kept_;
  double copy_bandwidth_ = 0;
  std::vector<std::string> results_, linears_;
};

}  // namespace aira::cuda
