// transformers' `_beam_search` (generation/utils.py of version 5) for one prompt: the best
// continuations over all running beams are ranked; the first `num_beams` of them may end, the first
// `num_beams` that do not end run on.
#include "run/beam_search.h"

#include <algorithm>
#include <cmath>

#include "run/answer_text.h"
#include "run/task.h"

namespace aira {

struct BeamSearch::Continuation {
  double score = 0;  // sum of processed log-probabilities
  std::size_t parent = 0;
  std::int32_t token = 0;

  /// Better first; ties go to the earlier beam, then to the lower id, so that the order is total.
  bool operator<(const Continuation& other) const {
    if (score != other.score) return score > other.score;
    return parent != other.parent ? parent < other.parent : token < other.token;
  }
};

BeamSearch::BeamSearch(GenerateOptions options, std::span<const std::int32_t> prompt,
                       std::function<std::string(std::int32_t)> bytes_of)
    : options_(std::move(options)),
      bytes_of_(std::move(bytes_of)),
      prompt_(prompt.size()),
      running_{{.ids = {prompt.begin(), prompt.end()}}},
      continuations_(static_cast<std::size_t>(options_.num_beams)) {
  std::vector<std::int32_t>& ends = options_.eos_token_id;
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  // As transformers: enough for num_beams to run on even if every beam has a continuation for each
  // end id. Stop texts may leave fewer.
  considered_ = continuations_.size() * std::max<std::size_t>(2, 1 + ends.size());
}

/// Whether the text ends with this token, by itself or by what it completes.
bool BeamSearch::ends(const Continuation& continuation) const {
  const std::vector<std::int32_t>& ends = options_.eos_token_id;
  return std::binary_search(ends.begin(), ends.end(), continuation.token) ||
         completes(options_.stop, running_[continuation.parent].ids, continuation.token, bytes_of_);
}

void BeamSearch::rank(std::size_t beam, std::span<const float> logits, ScoreRow& scratch) {
  std::vector<float>& scores = scratch.scores;
  const auto fill_from = [&](const LogSoftmax& distribution) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      scores[i] = static_cast<float>(distribution[static_cast<std::int32_t>(i)]);
    }
  };
  const LogSoftmax model(logits);
  if (std::isnan(model[0])) throw_not_a_number();  // then all are
  fill_from(model);
  const auto prompt = static_cast<std::int64_t>(prompt_);
  process_scores(
      scratch,
      {running_[beam].ids, prompt, options_.eos_token_id, prompt + options_.max_new_tokens},
      options_.sampling);
  if (options_.sampling.renormalize_logits) {
    const LogSoftmax processed(scores);
    if (!std::isnan(processed[0])) fill_from(processed);  // else nothing may follow
  }
  continuations_[beam] = best_tokens(scores, considered_);
}

/// Adds a text to the finished ones if it is among the best.
void BeamSearch::finish(const Continuation& continuation, bool ended) {
  const double score =
      continuation.score / std::pow(static_cast<double>(generated_), options_.length_penalty);
  const auto place = std::find_if(finished_.begin(), finished_.end(),
                                  [&](const Answer& other) { return *other.score < score; });
  if (place == finished_.end() && finished_.size() == continuations_.size()) return;
  const std::vector<std::int32_t>& before = running_[continuation.parent].ids;
  Answer answer;
  answer.token_ids.assign(before.begin() + static_cast<std::ptrdiff_t>(prompt_), before.end());
  answer.token_ids.push_back(continuation.token);
  answer.finish = ended ? FinishReason::kStop : FinishReason::kLength;
  answer.logprob = continuation.score;
  answer.score = score;
  finished_.insert(place, std::move(answer));
  if (finished_.size() > continuations_.size()) finished_.pop_back();
}

/// Whether a running beam may still beat a finished text. Where longer texts can score higher this
/// is an estimate, transformers' own.
bool BeamSearch::can_improve() const {
  if (finished_.size() < continuations_.size()) return true;
  if (options_.early_stopping == EarlyStopping::kTrue) return false;
  const bool longest =
      options_.early_stopping == EarlyStopping::kNever && options_.length_penalty > 0;
  const auto length = static_cast<double>(longest ? options_.max_new_tokens : generated_);
  return running_.front().score / std::pow(length, options_.length_penalty) >
         *finished_.back().score;
}

void BeamSearch::advance() {
  std::vector<Continuation> ranked;
  for (std::size_t beam = 0; beam < running_.size(); ++beam) {
    for (const auto& [token, score] : continuations_[beam]) {
      ranked.push_back({running_[beam].score + score, beam, token});
    }
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), considered_));
  if (ranked.empty() && finished_.empty()) throw_nothing_left();
  const bool full = ++generated_ == options_.max_new_tokens;
  std::vector<Beam> next;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const auto& [score, parent, token] = ranked[i];
    const bool ended = ends(ranked[i]);
    if (!full && !ended) {
      if (next.size() == continuations_.size()) continue;
      next.push_back({parent, score, running_[parent].ids});
      next.back().ids.push_back(token);
    } else if (i < continuations_.size()) {
      finish(ranked[i], ended);
    }
  }
  running_ = std::move(next);
  if (!running_.empty() && !can_improve()) running_.clear();
}

std::span<const Answer> BeamSearch::results() const {
  const auto asked = static_cast<std::size_t>(options_.answers);
  return std::span(finished_).first(std::min(asked, finished_.size()));
}

namespace {

/// A question's answers: a sequence for each running beam, all of them one token on in every step.
/// A new beam shares the pages of its parent; only one that is not full is copied.
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
  void accept(Sequence& sequence, Choice choice, Sequences& sequences) override;
  void cancel() override {
    if (done()) return;
    Answer answer;
    answer.finish = FinishReason::kInterrupted;
    hand_over(0, std::move(answer));
    finish();
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
  search_.emplace(request_.options, request_.prompt, context_.bytes_of());
  beams_.push_back(&sequences.start(*this, request_.prompt,
                                    static_cast<std::int64_t>(request_.prompt.size()) - 1));
}

void BeamTask::accept(Sequence& /*sequence*/, Choice /*choice*/, Sequences& sequences) {
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
  const std::span<const Answer> found = search_->results();
  std::vector<Answer> answers(found.begin(), found.end());
  for (Answer& answer : answers) {
    answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
    answer.first_token_seconds = first_token_seconds_;
    answer.decode_seconds = seconds_since(started_) - first_token_seconds_;
    AnswerText text(request_.options.stop, request_.keep_space);
    const std::vector<std::int32_t>& ends = request_.options.eos_token_id;
    for (const std::int32_t id : answer.token_ids) {
      const bool is_end = std::find(ends.begin(), ends.end(), id) != ends.end();
      if (!is_end && !context_.tokenizer.is_special(id)) text.push(context_.tokenizer.bytes(id));
    }
    text.finish();
    answer.text = text.text();
  }
  // As many as were asked for, even if the options forbade so much that there are fewer.
  answers.resize(static_cast<std::size_t>(request_.options.answers));
  for (std::size_t i = 0; i < answers.size(); ++i) hand_over(i, std::move(answers[i]));
  finish();
}

}  // namespace

std::shared_ptr<Task> make_beam_task(GenerateRequest request, Listener listener,
                                     const TaskContext& context) {
  return std::make_shared<BeamTask>(std::move(request), std::move(listener), context);
}

}  // namespace aira
