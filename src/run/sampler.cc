// Repetition penalty -> temperature -> top-k -> top-p -> draw, as transformers' logits processors
// do it (RepetitionPenalty-, Temperature-, TopK-, TopPLogitsWarper), in double precision after the
// penalty.
#include "aira/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "aira/error.h"
#include "run/philox.h"

namespace aira {
namespace {

template <typename Number>
[[noreturn]] void out_of_range(const char* option, Number value, const char* range) {
  std::ostringstream sentence;
  sentence << "--" << option << " must be " << range << ", not " << value << ".";
  throw UsageError(sentence.str());
}

/// More probable first; ties go to the lower id, so that the order is total.
bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
}

}  // namespace

void SamplingOptions::validate() const {
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    out_of_range("temperature", temperature,
                 "a number above 0 (for the most probable token use --greedy)");
  }
  if (top_k < 0) out_of_range("top-k", top_k, "a whole number from 0 (off)");
  if (!(top_p > 0 && top_p <= 1)) out_of_range("top-p", top_p, "above 0 and at most 1 (off)");
  if (!(repetition_penalty > 0) || !std::isfinite(repetition_penalty)) {
    out_of_range("repetition-penalty", repetition_penalty, "a number above 0 (1 is off)");
  }
}

double uniform(const DrawPlace& place) {
  const auto bits = philox4x32(
      {place.index, place.answer, 0, 0},
      {static_cast<std::uint32_t>(place.seed), static_cast<std::uint32_t>(place.seed >> 32)});
  const std::uint64_t wide = (static_cast<std::uint64_t>(bits[0]) << 32) | bits[1];
  return static_cast<double>(wide >> 11) * 0x1p-53;
}

Sampler::Sampler(std::int64_t vocab) : scores_(static_cast<std::size_t>(vocab)) {
  candidates_.reserve(static_cast<std::size_t>(vocab));
}

void Sampler::penalise(std::span<const float> logits, std::span<const std::int32_t> history,
                       double penalty) {
  std::copy(logits.begin(), logits.end(), scores_.begin());
  if (penalty == 1) return;
  const auto factor = static_cast<float>(penalty);
  for (const std::int32_t id : history) {
    // From the logit, not from the score: a token counts once, however often it occurs.
    const float logit = logits[static_cast<std::size_t>(id)];
    scores_[static_cast<std::size_t>(id)] = logit < 0 ? logit * factor : logit / factor;
  }
}

/// Fills candidates_ with the k best scores and whatever ties with the k-th, unordered.
void Sampler::keep_top_k(std::int64_t top_k) {
  const auto count = static_cast<std::int64_t>(scores_.size());
  float threshold = -std::numeric_limits<float>::infinity();
  if (top_k > 0 && top_k < count) {
    // The k best so far as a heap with the worst on top.
    candidates_.clear();
    const auto worse = [](const Candidate& a, const Candidate& b) {
      return a.probability > b.probability;
    };
    for (std::int64_t i = 0; i < count; ++i) {
      const float score = scores_[static_cast<std::size_t>(i)];
      if (static_cast<std::int64_t>(candidates_.size()) == top_k) {
        if (!(score > threshold)) continue;
        std::pop_heap(candidates_.begin(), candidates_.end(), worse);
        candidates_.back() = {static_cast<std::int32_t>(i), score};
      } else {
        candidates_.push_back({static_cast<std::int32_t>(i), score});
      }
      std::push_heap(candidates_.begin(), candidates_.end(), worse);
      if (static_cast<std::int64_t>(candidates_.size()) == top_k) {
        threshold = static_cast<float>(candidates_.front().probability);
      }
    }
  }
  candidates_.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    const float score = scores_[static_cast<std::size_t>(i)];
    if (score >= threshold) candidates_.push_back({static_cast<std::int32_t>(i), score});
  }
}

std::span<const Candidate> Sampler::distribution(std::span<const float> logits,
                                                 std::span<const std::int32_t> history,
                                                 const SamplingOptions& options) {
  bool damaged = false;
  for (const float logit : logits) damaged |= std::isnan(logit);  // no early way out: vectorises
  if (damaged) throw Error(kNoNumber);
  penalise(logits, history, options.repetition_penalty);
  keep_top_k(options.greedy ? 1 : options.top_k);
  std::sort(candidates_.begin(), candidates_.end(), ranks_before);
  if (options.greedy) candidates_.resize(1);
  const double best = candidates_.front().probability;
  if (!std::isfinite(best)) throw Error(kNoNumber);
  double sum = 0;
  for (Candidate& candidate : candidates_) {
    candidate.probability = std::exp((candidate.probability - best) / options.temperature);
    sum += candidate.probability;
  }
  // top-p drops from the improbable end while what is dropped stays within 1 - top_p, and keeps the
  // first in any case.
  if (options.top_p < 1) {
    const double droppable = (1 - options.top_p) * sum;
    double dropped = 0;
    while (candidates_.size() > 1 && dropped + candidates_.back().probability <= droppable) {
      dropped += candidates_.back().probability;
      candidates_.pop_back();
    }
    sum = 0;
    for (const Candidate& candidate : candidates_) sum += candidate.probability;
  }
  for (Candidate& candidate : candidates_) candidate.probability /= sum;
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> history,
                             const SamplingOptions& options, const DrawPlace& place) {
  const std::span<const Candidate> candidates = distribution(logits, history, options);
  double left = uniform(place);
  for (const Candidate& candidate : candidates) {
    left -= candidate.probability;
    if (left < 0) return candidate.token;
  }
  return candidates.back().token;  // rounding left a remainder
}

double log_probability(std::span<const float> logits, std::int32_t token) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest);
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - highest - std::log(sum);
}

}  // namespace aira
