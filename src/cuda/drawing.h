// The DeviceSampler of CUDA: memory for uncollected draws and their tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device.h"
#include "cuda/step.h"
#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

class Drawing final : public DeviceSampler {
 public:
  /// Draws for the steps of `step`, which must outlive this, from kernels in `stream`.
  Drawing(cudaStream_t stream, Step& step);
  ~Drawing();
  Drawing(const Drawing&) = delete;
  Drawing& operator=(const Drawing&) = delete;

  /// Allocates memory for up to `count` draws at a time from `vocab` logits each. Draws that a
  /// session did not collect before it ended are forgotten.
  void reserve(std::int64_t count, std::int64_t vocab);
  /// The token ids in the cache of the current step (tokens_of).
  void use_tokens(const std::int32_t* tokens) { tokens_ = tokens; }
  /// The draws of prepare(), for the step that begins; takes them only once.
  std::span<const DeviceDraw> take_draws();
  /// Where the tokens of the step that begins arrive.
  int flight() const { return (first_ + flying_) % kDrawsAhead; }
  /// The step has been started.
  void started();

  bool can_draw(const DeviceDraw& draw, std::int64_t vocab) const override;
  void prepare(std::span<const DeviceDraw> draws) override {
    prepared_.assign(draws.begin(), draws.end());
  }
  void draw(Tensor logits) override;
  std::span<const DrawnToken> drawn() override;

 private:
  struct Flight {
    std::int64_t count = 0;
    cudaEvent_t arrived = nullptr;
  };

  cudaStream_t stream_;
  Step& step_;
  const std::int32_t* tokens_ = nullptr;
  Scratch<unsigned> maxima_;
  Scratch<ExpSum> sums_;
  Buffer drawn_;  // pinned, [kDrawsAhead, room_] tokens, written by the kernel
  Flight flights_[kDrawsAhead];
  std::int64_t room_ = 0;  // draws per flight
  int first_ = 0;          // the earliest uncollected
  int flying_ = 0;
  bool starting_ = false;  // the current step draws
  std::vector<DeviceDraw> prepared_, draws_;
};

}  // namespace aira::cuda
