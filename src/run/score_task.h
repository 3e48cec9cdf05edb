// The log-likelihood of a text, a window of at most a context after another.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "run/scheduler.h"
#include "run/task.h"

namespace aira {

class ScoreTask final : public Task {
 public:
  ScoreTask(ScoreRequest request, std::int64_t context, std::shared_ptr<Pending<Score>> pending);

  void advance(Streams& streams) override;
  void prepare(Stream& stream, std::int64_t position, std::span<const float> logits,
               Sampler& sampler) override;
  void take(Stream& stream, std::int64_t position, std::span<const float> logits,
            Streams& streams) override;
  bool done() const override { return pending_->done; }
  void cancel() override { fail("The scoring was interrupted."); }
  void fail(const std::string& problem) override;
  void close(Streams& streams) override;

 private:
  /// One past the last id that the present window predicts.
  std::int64_t window_end() const;

  ScoreRequest request_;
  std::int64_t context_;
  std::shared_ptr<Pending<Score>> pending_;
  /// Of each id from request_.first on, as far as prepare() has come.
  struct Prepared {
    double logprob = 0;
    bool is_greedy = false;
  };
  std::vector<Prepared> prepared_;
  std::int64_t window_begin_ = 0;  // the id that is at position 0 of the present window
  std::int64_t window_first_;      // the first id that the present window predicts
  Stream* stream_ = nullptr;
};

}  // namespace aira
