// One question's answers by beam search: a stream for each running beam, all of them one token on
// in every step. A new beam shares the pages of its parent; only the one that is not full is
// copied.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/answer_task.h"
#include "run/beam_search.h"
#include "run/scheduler.h"
#include "run/task.h"

namespace aira {

class BeamTask final : public Task {
 public:
  BeamTask(AnswerRequest request, const AnswerTask::Surroundings& around,
           std::shared_ptr<Pending<Answers>> pending);

  std::int64_t streams() const override { return request_.options.num_beams; }
  void advance(Streams& streams) override;
  void take(Stream& stream, std::int64_t position, std::span<const float> logits,
            Streams& streams) override;
  bool done() const override { return pending_->done; }
  void cancel() override;
  void fail(const std::string& problem) override;
  void close(Streams& streams) override;

 private:
  void regroup(std::span<const BeamStep> steps, Streams& streams);
  void finish();

  AnswerRequest request_;
  AnswerTask::Surroundings around_;
  std::shared_ptr<Pending<Answers>> pending_;
  std::optional<BeamSearch> search_;  // from the first step on: a request that waits takes no room
  std::chrono::steady_clock::time_point started_;
  double first_token_seconds_ = 0;
  std::int64_t held_ = 0;       // slots kept for beams to come
  std::vector<Stream*> beams_;  // running, best first
  std::vector<float> logits_;   // [running beams, V]
  std::size_t rows_taken_ = 0;  // of logits_
};

}  // namespace aira
