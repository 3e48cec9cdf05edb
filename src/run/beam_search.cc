// transformers' `_beam_search` (generation/utils.py of version 5) for one prompt: the best
// continuations over all running beams are ranked; the first `beams` of them may end, the first
// `beams` that do not end run on.
#include "run/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "run/keep_best.h"
#include "run/log_softmax.h"

namespace aira {

BeamSearch::BeamSearch(const BeamOptions& options, const SamplingOptions& sampling,
                       std::span<const std::int32_t> prompt, std::span<const std::int32_t> end_ids)
    : options_(options),
      sampling_(sampling),
      end_ids_(end_ids.begin(), end_ids.end()),
      prompt_(prompt.size()),
      length_(prompt.size()),
      capacity_(prompt.size() + static_cast<std::size_t>(options.max_new_tokens)),
      of_beam_(static_cast<std::size_t>(options.beams)) {
  std::sort(end_ids_.begin(), end_ids_.end());
  end_ids_.erase(std::unique(end_ids_.begin(), end_ids_.end()), end_ids_.end());
  const auto beams = static_cast<std::size_t>(options.beams);
  for (Running* side : {&running_, &next_}) {
    side->ids.resize(beams * capacity_);
    side->scores.reserve(beams);
  }
  std::copy(prompt.begin(), prompt.end(), running_.ids.begin());
  running_.scores.push_back(0);
  steps_.reserve(beams);
  finished_.reserve(beams + 1);
}

/// Better first; ties go to the earlier beam, then to the lower id, so that the order is total.
bool BeamSearch::precedes(const Continuation& a, const Continuation& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
}

std::span<const std::int32_t> BeamSearch::ids(std::size_t beam) const {
  return std::span(running_.ids).subspan(beam * capacity_, length_);
}

bool BeamSearch::is_end(std::int32_t token) const {
  return std::binary_search(end_ids_.begin(), end_ids_.end(), token);
}

/// Keeps the best continuations, enough for `beams` of them to run on even if every beam has one
/// for each end id.
void BeamSearch::rank(std::size_t beam, std::span<const float> logits, ProcessorScratch& scratch) {
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
  process_scores(scores, scratch.seen, {ids(beam), prompt, end_ids_}, sampling_);
  if (sampling_.renormalize_logits) {
    const LogSoftmax processed(scores);
    if (!std::isnan(processed[0])) fill_from(processed);  // else nothing may follow
  }
  const std::size_t most = static_cast<std::size_t>(options_.beams) * (1 + end_ids_.size());
  std::vector<Continuation>& best = of_beam_[beam];
  best.clear();
  double threshold = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double score = running_.scores[beam] + static_cast<double>(scores[i]);
    if (!(score > threshold)) continue;
    keep_best(best, most, {score, static_cast<std::int32_t>(beam), static_cast<std::int32_t>(i)},
              precedes);
    if (best.size() == most) threshold = best.front().score;
  }
}

/// Fills ranked_ from the beams' continuations.
void BeamSearch::merge() {
  const std::size_t most = static_cast<std::size_t>(options_.beams) * (1 + end_ids_.size());
  ranked_.clear();
  for (std::size_t beam = 0; beam < running_.scores.size(); ++beam) {
    ranked_.insert(ranked_.end(), of_beam_[beam].begin(), of_beam_[beam].end());
  }
  std::sort(ranked_.begin(), ranked_.end(), precedes);
  if (ranked_.size() > most) ranked_.resize(most);
}

/// Adds a text to the finished ones if it is among the best.
void BeamSearch::finish(const Continuation& continuation) {
  const auto generated = static_cast<double>(length_ + 1 - prompt_);
  const double score = continuation.score / std::pow(generated, options_.length_penalty);
  const auto place = std::find_if(finished_.begin(), finished_.end(),
                                  [&](const Hypothesis& other) { return other.score < score; });
  const auto beams = static_cast<std::size_t>(options_.beams);
  if (place == finished_.end() && finished_.size() == beams) return;
  const auto before = ids(static_cast<std::size_t>(continuation.parent)).subspan(prompt_);
  Hypothesis hypothesis{
      {before.begin(), before.end()}, continuation.score, score, is_end(continuation.token)};
  hypothesis.ids.push_back(continuation.token);
  finished_.insert(place, std::move(hypothesis));
  if (finished_.size() > beams) finished_.pop_back();
}

void BeamSearch::keep_running(const Continuation& continuation) {
  const auto before = ids(static_cast<std::size_t>(continuation.parent));
  const auto to = next_.ids.begin() + static_cast<std::ptrdiff_t>(steps_.size() * capacity_);
  *std::copy(before.begin(), before.end(), to) = continuation.token;
  next_.scores.push_back(continuation.score);
  steps_.push_back({continuation.parent, continuation.token});
}

/// Whether a running beam may still beat a finished text. Where longer texts can score higher this
/// is an estimate, transformers' own.
bool BeamSearch::can_improve() const {
  if (finished_.size() < static_cast<std::size_t>(options_.beams)) return true;
  if (options_.early_stopping == EarlyStopping::kTrue) return false;
  const bool longest =
      options_.early_stopping == EarlyStopping::kNever && options_.length_penalty > 0;
  const auto length = static_cast<double>((longest ? capacity_ : length_) - prompt_);
  return running_.scores.front() / std::pow(length, options_.length_penalty) >
         finished_.back().score;
}

std::span<const BeamStep> BeamSearch::advance() {
  merge();
  if (ranked_.empty() && finished_.empty()) throw_nothing_left();
  const auto beams = static_cast<std::size_t>(options_.beams);
  const bool full = length_ + 1 == capacity_;
  steps_.clear();
  next_.scores.clear();
  for (std::size_t i = 0; i < ranked_.size(); ++i) {
    if (!full && !is_end(ranked_[i].token)) {
      if (steps_.size() < beams) keep_running(ranked_[i]);
    } else if (i < beams) {
      finish(ranked_[i]);
    }
  }
  std::swap(running_, next_);
  ++length_;
  done_ = steps_.empty() || !can_improve();
  if (done_) steps_.clear();
  return steps_;
}

std::span<const Hypothesis> BeamSearch::results() const {
  const std::size_t asked = static_cast<std::size_t>(options_.returned);
  return std::span(finished_).first(std::min(asked, finished_.size()));
}

}  // namespace aira
