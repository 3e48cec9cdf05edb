// The GPU, the one stream that everything runs on, device memory and pinned host memory.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>

#include "kernels/launch.h"
#include "model/tensor.h"

namespace aira::cuda {

/// What the environment switches, for measurements and tests; results stay the same. The names are
/// AIRA_CUDA_ and the member's, the values on and off.
struct Switches {
  bool graph = true;   // decode steps are recorded as graphs and replayed
  bool pdl = true;     // a step's kernels may start before their predecessor has ended
  bool few = true;     // linear_few for few rows; without, the kernels for many rows for all
  bool wgmma = true;   // linear_wgmma on Hopper; without, linear_tile as on other GPUs
  bool nodes = false;  // stderr gets a line on each recorded graph
};
/// Throws Error for any other value.
Switches read_switches();

class Device {
 public:
  /// The first GPU the process sees. Throws Error: no driver, driver too old, no device, device too
  /// old.
  Device();
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  cudaStream_t stream() const { return stream_; }
  /// e.g. "cuda (NVIDIA H100 80GB HBM3)".
  const std::string& description() const { return description_; }
  /// Compute capability, 10 times the major number plus the minor.
  int capability() const { return capability_; }
  /// Of the PCI bus, as in "0000:65:00.0".
  const std::string& bus_id() const { return bus_id_; }

 private:
  cudaStream_t stream_ = nullptr;
  int capability_ = 0;
  std::string description_;
  std::string bus_id_;
};

/// Device memory, uninitialised, on a 256-byte boundary. Throws Error with both sizes when there is
/// not enough.
Buffer allocate_device(std::int64_t bytes);
/// The same, all zero.
Buffer allocate_zeroed(std::int64_t bytes);
/// Page-locked host memory, which the device copies to and from, and writes, directly.
Buffer allocate_pinned(std::int64_t bytes);

/// Device memory that is allocated in advance for a use that varies.
template <typename T>
class Scratch {
 public:
  /// Room for `count` numbers, zero when `zeroed`; a larger one that is there stays.
  void reserve(std::int64_t count, bool zeroed = false) {
    if (count <= count_) return;
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    memory_ = zeroed ? allocate_zeroed(bytes) : allocate_device(bytes);
    count_ = count;
  }
  T* get([[maybe_unused]] std::int64_t count) const {
    assert(count <= count_);
    return static_cast<T*>(memory_.get());
  }

 private:
  Buffer memory_;
  std::int64_t count_ = 0;
};

}  // namespace aira::cuda
