// One question's answers by beam search: a sequence for each running beam, all of them one token on
// in every step. A new beam shares the pages of its parent; only one that is not full is copied.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "run/answer_text.h"
#include "run/beam_search.h"
#include "run/task.h"

namespace aira {
namespace {

class BeamTask final : public Task {
 public:
  BeamTask(GenerateRequest request, Listener listener, const TaskContext& context)
      : Task(std::move(listener)), request_(std::move(request)), context_(context) {}

  std::int64_t slots() const override { return request_.options.num_beams; }
  void advance(Sequences& sequences) override;
  void evaluate(const Sequence& sequence, std::int64_t /*position*/, std::span<const float> logits,
                Sampler& sampler) override {
    const auto beam = std::find(beams_.begin(), beams_.end(), &sequence) - beams_.begin();
    search_->rank(static_cast<std::size_t>(beam), logits, sampler.scratch());
  }
  void accept(Sequence& sequence, Outcome outcome, Sequences& sequences) override;
  void cancel() override {
    if (done()) return;
    finish();
    Answer answer;
    answer.finish = FinishReason::kInterrupted;
    if (listener().finished) listener().finished(0, answer);
  }

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

void BeamTask::advance(Sequences& sequences) {
  if (search_) return;
  started_ = std::chrono::steady_clock::now();
  const GenerateOptions& options = request_.options;
  search_.emplace(BeamOptions{.beams = options.num_beams,
                              .length_penalty = options.length_penalty,
                              .early_stopping = options.early_stopping,
                              .returned = options.answers,
                              .max_new_tokens = token_limit(request_, context_)},
                  options.sampling, request_.prompt, context_.end_ids);
  sequences.reserve(*this, options.num_beams);
  beams_.push_back(&sequences.start(*this, request_.prompt,
                                    static_cast<std::int64_t>(request_.prompt.size()) - 1));
}

void BeamTask::accept(Sequence& /*sequence*/, Outcome /*outcome*/, Sequences& sequences) {
  if (++accepted_ < beams_.size()) return;
  accepted_ = 0;
  const std::span<const BeamStep> steps = search_->advance();
  if (first_token_seconds_ == 0) first_token_seconds_ = seconds_since(started_);
  search_->done() ? deliver() : regroup(steps, sequences);
}

/// Each new beam goes on from its parent's sequence: the first child keeps it, the others fork it.
void BeamTask::regroup(std::span<const BeamStep> steps, Sequences& sequences) {
  std::vector<std::size_t> heir(beams_.size(), steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    heir[static_cast<std::size_t>(steps[i].parent)] = i;
  }
  for (std::size_t parent = 0; parent < beams_.size(); ++parent) {
    if (heir[parent] == steps.size()) sequences.close(*beams_[parent]);
  }
  std::vector<Sequence*> next(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto parent = static_cast<std::size_t>(steps[i].parent);
    next[i] = heir[parent] == i ? beams_[parent]
                                : &sequences.fork(*beams_[parent], beams_[parent]->cached);
  }
  for (std::size_t i = 0; i < steps.size(); ++i) next[i]->ids.push_back(steps[i].token);
  beams_ = std::move(next);
}

void BeamTask::deliver() {
  finish();
  std::vector<Answer> answers;
  for (const Hypothesis& hypothesis : search_->results()) {
    Answer answer;
    answer.token_ids = hypothesis.ids;
    answer.score = hypothesis.score;
    answer.logprob = hypothesis.logprob;
    answer.finish = hypothesis.ended ? FinishReason::kStop : FinishReason::kLength;
    answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
    answer.first_token_seconds = first_token_seconds_;
    answer.decode_seconds = seconds_since(started_) - first_token_seconds_;
    AnswerText text(stop_texts(request_, context_));
    for (const std::int32_t id : hypothesis.ids) {
      if (!context_.tokenizer.is_special(id)) text.push(context_.tokenizer.bytes(id));
    }
    text.finish();
    answer.text = text.text();
    answers.push_back(std::move(answer));
  }
  // As many as were asked for, even if the options forbade so much that there are fewer.
  answers.resize(static_cast<std::size_t>(request_.options.answers));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (listener().finished) listener().finished(i, answers[i]);
  }
}

}  // namespace

std::shared_ptr<Task> make_beam_task(GenerateRequest request, Listener listener,
                                     const TaskContext& context) {
  return std::make_shared<BeamTask>(std::move(request), std::move(listener), context);
}

}  // namespace aira
