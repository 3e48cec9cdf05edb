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
#include "run/processors.h"

namespace aira {

BeamSearch::BeamSearch(const BeamOptions& options, const SamplingOptions& sampling,
                       std::span<const std::int32_t> prompt, std::span<const std::int32_t> end_ids,
                       std::int64_t vocab)
    : options_(options),
      sampling_(sampling),
      end_ids_(end_ids.begin(), end_ids.end()),
      prompt_(prompt.size()),
      length_(prompt.size()),
      capacity_(prompt.size() + static_cast<std::size_t>(options.max_new_tokens)),
      scores_(static_cast<std::size_t>(vocab)),
      seen_(static_cast<std::size_t>(vocab)) {
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
  // Each beam has end_ids continuations that end at most, so `beams` of these run on.
  ranked_.reserve(beams * (1 + end_ids_.size()));
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

/// Fills scores_ with the processed log-probabilities of what may follow a beam.
void BeamSearch::score_row(std::span<const float> logits, std::size_t beam) {
  const auto fill_from = [this](const LogSoftmax& distribution) {
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      scores_[i] = static_cast<float>(distribution[static_cast<std::int32_t>(i)]);
    }
  };
  const LogSoftmax model(logits);
  if (std::isnan(model[0])) throw_not_a_number();  // then all are
  fill_from(model);
  const auto prompt = static_cast<std::int64_t>(prompt_);
  process_scores(scores_, seen_, {ids(beam), prompt, end_ids_}, sampling_);
  if (!sampling_.renormalize_logits) return;
  const LogSoftmax processed(scores_);
  if (!std::isnan(processed[0])) fill_from(processed);  // else nothing may follow
}

/// Fills ranked_ with the best continuations, as many as it takes for `beams` of them to run on.
void BeamSearch::rank(std::span<const float> logits) {
  const auto beams = static_cast<std::size_t>(options_.beams);
  const std::size_t most = beams * (1 + end_ids_.size());
  ranked_.clear();
  double threshold = -std::numeric_limits<double>::infinity();
  for (std::size_t beam = 0; beam < running_.scores.size(); ++beam) {
    score_row(logits.subspan(beam * scores_.size(), scores_.size()), beam);
    const double before = running_.scores[beam];
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      const double score = before + static_cast<double>(scores_[i]);
      if (!(score > threshold)) continue;
      const Continuation continuation{score, static_cast<std::int32_t>(beam),
                                      static_cast<std::int32_t>(i)};
      keep_best(ranked_, most, continuation, precedes);
      if (ranked_.size() == most) threshold = ranked_.front().score;
    }
  }
  std::sort_heap(ranked_.begin(), ranked_.end(), precedes);
}

/// Adds a text to the finished ones when it is among the best.
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

/// Whether the running beams may still bring forth a text that is better than a finished one. An
/// estimate, where longer texts can have higher scores: transformers'.
bool BeamSearch::can_improve() const {
  if (finished_.size() < static_cast<std::size_t>(options_.beams)) return true;
  if (options_.early_stopping == EarlyStopping::kTrue) return false;
  const bool longest =
      options_.early_stopping == EarlyStopping::kNever && options_.length_penalty > 0;
  const auto length = static_cast<double>((longest ? capacity_ : length_) - prompt_);
  return running_.scores.front() / std::pow(length, options_.length_penalty) >
         finished_.back().score;
}

std::span<const BeamStep> BeamSearch::advance(std::span<const float> logits) {
  rank(logits);
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
