// One question's answers by beam search: a sequence for each running beam, all of them one token on
// in every step. A new beam shares the pages of its parent; only one that is not full is copied.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "run/beam_search.h"
#include "run/task.h"

namespace aira {

class BeamTask final : public Task {
 public:
  BeamTask(GenerateRequest request, Listener listener, const TaskContext& context)
      : Task(std::move(listener)), request_(std::move(request)), context_(context) {}

  std::int64_t slots() const override { return request_.options.num_beams; }
  void advance(Sequences& sequences) override;
  Want want(const Sequence& /*sequence*/, std::int64_t /*position*/) const override { return {}; }
  void evaluate(const Sequence& sequence, std::int64_t position, std::span<const float> logits,
                Sampler& sampler) override;
  void accept(Sequence& sequence, std::int64_t position, Outcome outcome,
              Sequences& sequences) override;
  void cancel() override;

 private:
  void regroup(std::span<const BeamStep> steps, Sequences& sequences);
  void deliver();

  GenerateRequest request_;
  const TaskContext& context_;
  std::optional<BeamSearch> search_;  // once it has begun: a request that waits takes no memory
  std::chrono::steady_clock::time_point started_;
  double first_token_seconds_ = 0;
  std::vector<Sequence*> beams_;  // running, best first
  std::size_t accepted_ = 0;      // of the running beams, in this step
};

}  // namespace aira
