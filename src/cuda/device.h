// The GPU that is used, and the one stream that everything runs on.
#pragma once

#include <string>

#include "kernels/check.h"

namespace aira::cuda {

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

 private:
  cudaStream_t stream_ = nullptr;
  std::string description_;
};

}  // namespace aira::cuda
