// Draws of tokens that are on their way: what they need on the device, and where their tokens
// arrive.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device_memory.h"
#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

class Drawing {
 public:
  explicit Drawing(cudaStream_t stream);
  ~Drawing();
  Drawing(const Drawing&) = delete;
  Drawing& operator=(const Drawing&) = delete;

  /// Whether the kernels draw with these options; any other option that is set is the host's.
  static bool knows(const SamplingOptions& options, std::int64_t vocab);

  /// Enqueues the draws; options, maxima and out of `job` are filled in here.
  void start(DrawJob job, std::span<const Draw> draws);
  /// The earliest uncollected draw's tokens. Throws Error when one has no logit that is a number.
  std::span<const std::int32_t> collect();

 private:
  struct Flight {
    Buffer host_options, options, host_tokens, tokens;
    std::int64_t room = 0;
    std::int64_t count = 0;
    cudaEvent_t arrived = nullptr;
  };

  cudaStream_t stream_;
  Scratch maxima_;
  Flight flights_[Backend::kDrawsAhead];
  int first_ = 0;  // the earliest uncollected
  int flying_ = 0;
};

}  // namespace aira::cuda
