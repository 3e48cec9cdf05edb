// The log-likelihood of a text, a window of at most a context after another.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "aira/scheduler.h"
#include "run/task.h"

namespace aira {

class ScoreTask final : public Task {
 public:
  ScoreTask(ScoreRequest request, std::int64_t context, std::shared_ptr<Pending<Score>> pending);

  void advance(Streams& streams) override;
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
  std::int64_t window_first_;  // the first id that the present window predicts
  Stream* stream_ = nullptr;
};

}  // namespace aira
