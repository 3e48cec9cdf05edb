#include "run/beam_task.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "run/seconds_since.h"

namespace aira {

BeamTask::BeamTask(AnswerRequest request, const AnswerTask::Surroundings& around,
                   std::shared_ptr<Pending<Answers>> pending)
    : request_(std::move(request)), around_(around), pending_(std::move(pending)) {}

void BeamTask::advance(Streams& streams) {
  if (!beams_.empty() || done()) return;
  started_ = std::chrono::steady_clock::now();
  search_.emplace(BeamOptions{.beams = request_.options.num_beams,
                              .length_penalty = request_.options.length_penalty,
                              .early_stopping = request_.options.early_stopping,
                              .returned = request_.options.answers,
                              .max_new_tokens = token_limit(request_, around_)},
                  request_.options.sampling, request_.prompt, around_.end_ids, around_.vocab);
  logits_.resize(static_cast<std::size_t>(request_.options.num_beams * around_.vocab));
  beams_.push_back(&streams.start(*this, request_.prompt,
                                  static_cast<std::int64_t>(request_.prompt.size()) - 1));
  held_ = request_.options.num_beams - 1;
  streams.hold(held_);
}

void BeamTask::take(Stream& stream, std::int64_t /*position*/, std::span<const float> logits,
                    Streams& streams) {
  const auto beam = std::find(beams_.begin(), beams_.end(), &stream) - beams_.begin();
  std::copy(logits.begin(), logits.end(), logits_.begin() + beam * around_.vocab);
  if (++rows_taken_ < beams_.size()) return;
  rows_taken_ = 0;
  const std::span<const BeamStep> steps = search_->advance(
      std::span(logits_).first(beams_.size() * static_cast<std::size_t>(around_.vocab)));
  if (first_token_seconds_ == 0) first_token_seconds_ = seconds_since(started_);
  if (search_->done()) {
    finish();
  } else {
    regroup(steps, streams);
  }
}

/// Each new beam goes on from its parent's stream: the first child keeps it, the others fork it.
void BeamTask::regroup(std::span<const BeamStep> steps, Streams& streams) {
  std::vector<std::size_t> heir(beams_.size(), steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    heir[static_cast<std::size_t>(steps[i].parent)] = i;
  }
  for (std::size_t parent = 0; parent < beams_.size(); ++parent) {
    if (heir[parent] < steps.size()) continue;
    streams.close(*beams_[parent]);
    ++held_;
    streams.hold(1);
  }
  std::vector<Stream*> next(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto parent = static_cast<std::size_t>(steps[i].parent);
    if (heir[parent] == i) {
      next[i] = beams_[parent];
      continue;
    }
    --held_;
    streams.hold(-1);
    next[i] = &streams.fork(*beams_[parent]);
  }
  for (std::size_t i = 0; i < steps.size(); ++i) next[i]->ids.push_back(steps[i].token);
  beams_ = std::move(next);
}

void BeamTask::finish() {
  Answers& answers = pending_->result;
  for (const Hypothesis& hypothesis : search_->results()) {
    Answer answer;
    answer.token_ids = hypothesis.ids;
    answer.score = hypothesis.score;
    answer.logprob = hypothesis.logprob;
    answer.finish = hypothesis.ended ? FinishReason::kStop : FinishReason::kLength;
    answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
    answer.first_token_seconds = first_token_seconds_;
    answer.decode_seconds = seconds_since(started_) - first_token_seconds_;
    AnswerText text(stop_texts(request_, around_));
    for (const std::int32_t id : hypothesis.ids) {
      if (!around_.tokenizer.is_special(id)) text.push(around_.tokenizer.bytes(id));
    }
    text.finish();
    answer.text = text.text();
    answers.list.push_back(std::move(answer));
  }
  // As many as were asked for, whatever the options forbade.
  answers.list.resize(static_cast<std::size_t>(request_.options.answers));
  answers.complete = answers.list.size();
  pending_->done = true;
}

void BeamTask::cancel() {
  if (pending_->done) return;
  pending_->result.list.resize(static_cast<std::size_t>(request_.options.answers));
  for (Answer& answer : pending_->result.list) answer.finish = FinishReason::kInterrupted;
  pending_->done = true;
}

void BeamTask::fail(const std::string& problem) {
  pending_->problem = problem;
  pending_->done = true;
}

void BeamTask::close(Streams& streams) {
  for (Stream* beam : beams_) streams.close(*beam);
  beams_.clear();
  streams.hold(-held_);
  held_ = 0;
}

}  // namespace aira
