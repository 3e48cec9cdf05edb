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
    search_->rank(static_cast<std::size_t>(beam), logits, sampler.row());
  }
  void accept(Sequence& sequence, Outcome outcome, Sequences& sequences) override;
  void cancel() override {
    if (done()) return;
    finish();
    Answer answer;
    answer.finish = FinishReason::kInterrupted;
    hand_over(0, answer);
  }

 private:
  void regroup(Sequences& sequences);
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
  search_.emplace(request_.options, request_.prompt, context_.end_ids);
  sequences.reserve(*this, slots());
  beams_.push_back(&sequences.start(*this, request_.prompt,
                                    static_cast<std::int64_t>(request_.prompt.size()) - 1));
}

void BeamTask::accept(Sequence& /*sequence*/, Outcome /*outcome*/, Sequences& sequences) {
  if (++accepted_ < beams_.size()) return;
  accepted_ = 0;
  search_->advance();
  if (first_token_seconds_ == 0) first_token_seconds_ = seconds_since(started_);
  search_->done() ? deliver() : regroup(sequences);
}

/// Each new beam goes on from its parent's sequence: the first child keeps it, the others fork it.
void BeamTask::regroup(Sequences& sequences) {
  const std::span<const Beam> beams = search_->beams();
  std::vector<const Beam*> heirs(beams_.size());
  for (const Beam& beam : beams) {
    if (heirs[beam.parent] == nullptr) heirs[beam.parent] = &beam;
  }
  for (std::size_t parent = 0; parent < beams_.size(); ++parent) {
    if (heirs[parent] == nullptr) sequences.close(*beams_[parent]);
  }
  std::vector<Sequence*> next;
  for (const Beam& beam : beams) {
    Sequence* parent = beams_[beam.parent];
    next.push_back(heirs[beam.parent] == &beam ? parent : &sequences.fork(*parent, parent->cached));
  }
  for (std::size_t i = 0; i < next.size(); ++i) next[i]->ids.push_back(beams[i].ids.back());
  beams_ = std::move(next);
}

void BeamTask::deliver() {
  finish();
  const std::span<const Answer> found = search_->results();
  std::vector<Answer> answers(found.begin(), found.end());
  for (Answer& answer : answers) {
    answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
    answer.first_token_seconds = first_token_seconds_;
    answer.decode_seconds = seconds_since(started_) - first_token_seconds_;
    AnswerText text(request_.options.stop);
    for (const std::int32_t id : answer.token_ids) {
      if (!context_.tokenizer.is_special(id)) text.push(context_.tokenizer.bytes(id));
    }
    text.finish();
    answer.text = text.text();
  }
  // As many as were asked for, even if the options forbade so much that there are fewer.
  answers.resize(static_cast<std::size_t>(request_.options.answers));
  for (std::size_t i = 0; i < answers.size(); ++i) hand_over(i, answers[i]);
}

}  // namespace

std::shared_ptr<Task> make_beam_task(GenerateRequest request, Listener listener,
                                     const TaskContext& context) {
  return std::make_shared<BeamTask>(std::move(request), std::move(listener), context);
}

}  // namespace aira
