// transformers' `_beam_search` (generation/utils.py of version 5) for one prompt: the best
// continuations over all running beams are ranked; the first `num_beams` of them may end, the first
// `num_beams` that do not end run on.
#include "run/beam_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

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
                       std::span<const std::int32_t> end_ids)
    : options_(std::move(options)),
      end_ids_(end_ids.begin(), end_ids.end()),
      prompt_(prompt.size()),
      running_{{.ids = {prompt.begin(), prompt.end()}}},
      continuations_(static_cast<std::size_t>(options_.num_beams)) {
  std::sort(end_ids_.begin(), end_ids_.end());
  end_ids_.erase(std::unique(end_ids_.begin(), end_ids_.end()), end_ids_.end());
}

bool BeamSearch::is_end(std::int32_t token) const {
  return std::binary_search(end_ids_.begin(), end_ids_.end(), token);
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
  process_scores(scratch, {running_[beam].ids, prompt, end_ids_}, options_.sampling);
  if (options_.sampling.renormalize_logits) {
    const LogSoftmax processed(scores);
    if (!std::isnan(processed[0])) fill_from(processed);  // else nothing may follow
  }
  // Enough for num_beams to run on even if every beam has a continuation for each end id.
  continuations_[beam] = best_tokens(scores, continuations_.size() * (1 + end_ids_.size()));
}

/// Adds a text to the finished ones if it is among the best.
void BeamSearch::finish(const Continuation& continuation) {
  const double score =
      continuation.score / std::pow(static_cast<double>(generated_), options_.length_penalty);
  const auto place = std::find_if(finished_.begin(), finished_.end(),
                                  [&](const Answer& other) { return *other.score < score; });
  if (place == finished_.end() && finished_.size() == continuations_.size()) return;
  const std::vector<std::int32_t>& before = running_[continuation.parent].ids;
  Answer answer;
  answer.token_ids.assign(before.begin() + static_cast<std::ptrdiff_t>(prompt_), before.end());
  answer.token_ids.push_back(continuation.token);
  answer.finish = is_end(continuation.token) ? FinishReason::kStop : FinishReason::kLength;
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
  if (ranked.empty() && finished_.empty()) throw_nothing_left();
  const bool full = ++generated_ == options_.max_new_tokens;
  std::vector<Beam> next;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const auto& [score, parent, token] = ranked[i];
    if (!full && !is_end(token)) {
      if (next.size() == continuations_.size()) continue;
      next.push_back({parent, score, running_[parent].ids});
      next.back().ids.push_back(token);
    } else if (i < continuations_.size()) {
      finish(ranked[i]);
    }
  }
  running_ = std::move(next);
  if (!running_.empty() && !can_improve()) running_.clear();
}

std::span<const Answer> BeamSearch::results() const {
  const auto asked = static_cast<std::size_t>(options_.answers);
  return std::span(finished_).first(std::min(asked, finished_.size()));
}

}  // namespace aira
