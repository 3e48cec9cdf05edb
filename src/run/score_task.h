// The log-likelihood of a text, one window of at most a context after another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "run/task.h"

namespace aira {

class ScoreTask final : public Task {
 public:
  ScoreTask(ScoreRequest request, Listener listener, const TaskContext& context);

  void advance(Sequences& sequences) override;
  Want want(const Sequence& /*sequence*/, std::int64_t /*position*/) const override { return {}; }
  void evaluate(const Sequence& sequence, std::int64_t position, std::span<const float> logits,
                Sampler& sampler) override;
  void accept(Sequence& sequence, std::int64_t position, Outcome outcome,
              Sequences& sequences) override;
  void cancel() override { fail(Error("The scoring was interrupted.")); }

 private:
  /// One past the last id that the current window predicts.
  std::int64_t window_end() const;
  void deliver();

  ScoreRequest request_;
  std::int64_t context_;
  Score score_;                          // tokens [ids from request_.first on]
  std::vector<std::uint8_t> is_greedy_;  // the same; bytes, which threads may write side by side
  std::size_t accepted_ = 0;
  std::int64_t window_begin_ = 0;  // the id at position 0 of the current window
  std::int64_t window_first_;      // the first id that the current window predicts
  Sequence* sequence_ = nullptr;
};

}  // namespace aira
