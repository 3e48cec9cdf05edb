// One question's answers by sampling: its prompt is computed once, and each answer goes on from it
// with a random stream of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/answer_text.h"
#include "run/loop_guard.h"
#include "run/scheduler.h"
#include "run/task.h"

namespace aira {

class AnswerTask final : public Task {
 public:
  /// What all tasks of a scheduler share.
  struct Surroundings {
    const Tokenizer& tokenizer;
    const std::vector<std::int32_t>& end_ids;
    Sampler& sampler;
    std::int64_t context;
    std::int64_t vocab;
  };

  AnswerTask(AnswerRequest request, const Surroundings& around,
             std::shared_ptr<Pending<Answers>> pending);

  void advance(Streams& streams) override;
  void prepare(Stream& stream, std::int64_t position, std::span<const float> logits,
               Sampler& sampler) override;
  void take(Stream& stream, std::int64_t position, std::span<const float> logits,
            Streams& streams) override;
  bool done() const override { return pending_->done; }
  void cancel() override;
  void fail(const std::string& problem) override;
  void close(Streams& streams) override;

  const SamplingOptions* draws() const override;
  DeviceDraw launch(Stream& stream) override;
  void take_token(std::size_t draft, std::int32_t token) override;
  std::size_t draft_of(const Stream& stream) const override { return draft_at(stream).number; }

 private:
  /// An answer that is being written.
  struct Draft {
    explicit Draft(const std::vector<std::string>& stops) : text(stops) {}

    std::size_t number = 0;
    Stream* stream = nullptr;
    AnswerText text;
    LoopGuard guard;
    Answer answer;
    std::chrono::steady_clock::time_point first_token;
    bool ended = false;
    std::int64_t launched = 0;  // tokens drawn or on their way
    // What prepare() left for take().
    std::int32_t drawn = 0;
    Choice choice;
    std::optional<std::string> problem;
  };

  bool from_prompt(const Stream& stream) const { return &stream == prompt_stream_; }
  Draft& begin(Stream& stream);
  Draft& draft_at(const Stream& stream) const;
  DrawPlace next_place(const Draft& draft) const;
  History history(const Stream& stream) const;
  bool needs_distribution() const;
  void draw(Draft& draft, std::span<const float> logits, Sampler& sampler) const;
  void write(Draft& draft);
  void accept(Draft& draft, std::int32_t token);
  void hand_over(Draft& draft, FinishReason finish);
  void end(Draft& draft, FinishReason finish);
  void finish();
  void tell(const Draft& draft, const std::string& text) const;

  AnswerRequest request_;
  Surroundings around_;
  std::shared_ptr<Pending<Answers>> pending_;
  std::chrono::steady_clock::time_point started_;
  bool has_started_ = false;
  std::size_t count_;      // answers to write
  std::size_t begun_ = 0;  // drafts begun so far
  std::size_t ended_ = 0;
  std::vector<bool> complete_;  // [begun]
  std::int64_t limit_;          // tokens of an answer
  std::vector<std::string> stops_;
  Stream* prompt_stream_ = nullptr;  // its logits begin new drafts
  std::vector<std::unique_ptr<Draft>> drafts_;
};

/// Tokens that an answer may have.
std::int64_t token_limit(const AnswerRequest& request, const AnswerTask::Surroundings& around);
/// Texts that end an answer.
std::vector<std::string> stop_texts(const AnswerRequest& request,
                                    const AnswerTask::Surroundings& around);

}  // namespace aira
