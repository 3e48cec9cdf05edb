// Temperature -> top-k -> top-p -> min-p -> typical-p -> draw, as transformers' logits warpers do
// it (Temperature-, TopK-, TopP-, MinP-, TypicalLogitsWarper), in double precision. What a step
// drops by its place in an order is first cut coarsely by bins, so that a vocabulary is never
// sorted as a whole for the sake of a few tokens.
#include "run/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "run/keep_best.h"
#include "run/philox.h"
#include "run/processors.h"

namespace aira {
namespace {

/// More probable first; ties go to the lower id, so that the order is total.
bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
}

/// So many candidates are sorted sooner than cut by bins.
constexpr std::size_t kFew = 512;
/// Bins of drop_far: 64 to an octave of weights or to a nat of distance.
constexpr std::size_t kBins = 4096;

/// The bin of a weight in [0, 1]: a positive double's bits are ordered as it is.
std::size_t weight_bin(double weight) {
  constexpr int kFraction = 52 - 6;
  const std::uint64_t below =
      std::bit_cast<std::uint64_t>(1.0) - std::bit_cast<std::uint64_t>(weight);
  return std::min(kBins - 1, static_cast<std::size_t>(below >> kFraction));
}

/// The bin of a distance from 0.
std::size_t distance_bin(double nats) {
  const double place = nats * 64;
  return place < static_cast<double>(kBins) ? static_cast<std::size_t>(place) : kBins - 1;
}

/// Throws when the best processed score is no number.
void check_best(double best, std::span<const float> logits) {
  if (std::isfinite(best)) return;
  if (*std::max_element(logits.begin(), logits.end()) > best) throw_nothing_left();
  throw_not_a_number();
}

}  // namespace

double uniform(const DrawPlace& place) {
  const auto bits = philox4x32(
      {place.index, place.answer, 0, 0},
      {static_cast<std::uint32_t>(place.seed), static_cast<std::uint32_t>(place.seed >> 32)});
  const std::uint64_t wide = (static_cast<std::uint64_t>(bits[0]) << 32) | bits[1];
  return static_cast<double>(wide >> 11) * 0x1p-53;
}

Sampler::Sampler(std::int64_t vocab)
    : scores_(static_cast<std::size_t>(vocab)), seen_(static_cast<std::size_t>(vocab)) {
  candidates_.reserve(static_cast<std::size_t>(vocab));
}

/// The k-th best score.
float Sampler::top_k_threshold(std::int64_t top_k) {
  const auto k = static_cast<std::size_t>(top_k);
  float threshold = -std::numeric_limits<float>::infinity();
  candidates_.clear();  // the k best so far
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const float score = scores_[i];
    if (!(score > threshold)) continue;
    keep_best(candidates_, k, {static_cast<std::int32_t>(i), score}, ranks_before);
    if (candidates_.size() == k) threshold = static_cast<float>(candidates_.front().probability);
  }
  return threshold;
}

/// Fills candidates_ with the scores that can survive top-k (whatever ties with the k-th stays),
/// and min-p when nothing before it counts the mass; best_ is the best of them.
void Sampler::take_candidates(const SamplingOptions& options) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  double threshold = kNone;
  if (options.top_k > 0 && options.top_k < static_cast<std::int64_t>(scores_.size())) {
    threshold = top_k_threshold(options.top_k);
    best_ = kNone;
    for (const Candidate& candidate : candidates_) best_ = std::max(best_, candidate.probability);
  } else {
    best_ = *std::max_element(scores_.begin(), scores_.end());
    if (options.min_p > 0 && options.top_p == 1) {  // coarsely: the exact test comes later
      threshold = best_ + options.temperature * (std::log(options.min_p) - 1);
    }
  }
  candidates_.clear();
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const double score = scores_[i];
    if (score >= threshold && score > kNone) {
      candidates_.push_back({static_cast<std::int32_t>(i), score});
    }
  }
}

/// How many nats a candidate is less probable than the best.
double Sampler::depth(const Candidate& candidate) const {
  const double score = scores_[static_cast<std::size_t>(candidate.token)];
  return (best_ - score) / temperature_;
}

double Sampler::total() const {
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.probability;
  return sum;
}

void Sampler::rank() {
  if (!ranked_) std::sort(candidates_.begin(), candidates_.end(), ranks_before);
  ranked_ = true;
}

/// Drops candidates from the far end of an order by `bin` as long as all that was dropped weighs at
/// most `droppable`: whole bins, so that some stay which only sorting can tell from those that must
/// stay. The nearest bin stays in any case. Returns the weight that was dropped.
template <typename Bin>
double Sampler::drop_far(const Bin& bin, double droppable) {
  if (candidates_.size() <= kFew) return 0;
  std::array<double, kBins> weight{};
  std::size_t nearest = kBins;
  for (const Candidate& candidate : candidates_) {
    const std::size_t place = bin(candidate);
    weight[place] += candidate.probability;
    nearest = std::min(nearest, place);
  }
  std::size_t kept = kBins;
  double dropped = 0;
  while (kept > nearest + 1 && dropped + weight[kept - 1] <= droppable) dropped += weight[--kept];
  std::erase_if(candidates_, [&](const Candidate& candidate) { return bin(candidate) >= kept; });
  return dropped;
}

double Sampler::drop_improbable(double droppable) {
  return drop_far([](const Candidate& c) { return weight_bin(c.probability); }, droppable);
}

/// Drops from the improbable end while what is dropped stays within 1 - top_p, and keeps the first
/// in any case.
void Sampler::keep_top_p(double top_p) {
  const double droppable = (1 - top_p) * total();
  double dropped = drop_improbable(droppable);
  rank();
  while (candidates_.size() > 1 && dropped + candidates_.back().probability <= droppable) {
    dropped += candidates_.back().probability;
    candidates_.pop_back();
  }
}

/// Keeps those whose surprise is nearest to the expected one until they weigh `mass`, and what ties
/// with the last of them.
void Sampler::keep_typical(double mass) {
  const double sum = total();
  double expected = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.probability > 0) expected += candidate.probability / sum * depth(candidate);
  }
  const auto key = [&](const Candidate& candidate) {
    return std::abs(depth(candidate) - expected);
  };
  drop_far([&](const Candidate& c) { return distance_bin(key(c)); }, (1 - mass) * sum);
  std::sort(candidates_.begin(), candidates_.end(),
            [&](const Candidate& a, const Candidate& b) { return key(a) < key(b); });
  ranked_ = false;
  double kept = 0;
  std::size_t last = 0;
  while (kept += candidates_[last].probability,
         kept < mass * sum && last + 1 < candidates_.size()) {
    ++last;
  }
  const double farthest = key(candidates_[last]);
  while (key(candidates_.back()) > farthest) candidates_.pop_back();
}

/// Fills candidates_ with the distribution; those that make up the first `wanted` of the mass are
/// enough.
void Sampler::prepare(std::span<const float> logits, const History& history,
                      const SamplingOptions& options, double wanted) {
  bool damaged = false;
  for (const float logit : logits) damaged |= std::isnan(logit);  // no early way out: vectorises
  if (damaged) throw_not_a_number();
  std::copy(logits.begin(), logits.end(), scores_.begin());
  process_scores(scores_, seen_, history, options);
  if (options.greedy) {
    const auto best = std::max_element(scores_.begin(), scores_.end());  // the first of equals
    check_best(*best, logits);
    candidates_.assign(1, {static_cast<std::int32_t>(best - scores_.begin()), 1});
    return;
  }
  temperature_ = options.temperature;
  take_candidates(options);
  check_best(best_, logits);
  ranked_ = false;
  if (candidates_.size() <= kFew) rank();
  for (Candidate& candidate : candidates_) {
    candidate.probability = std::exp((candidate.probability - best_) / temperature_);
  }
  if (options.top_p < 1) keep_top_p(options.top_p);
  if (options.min_p > 0) {  // of the best, whose weight is 1
    std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < options.min_p; });
  }
  if (options.typical_p < 1) keep_typical(options.typical_p);
  const double sum = total();
  if (!ranked_ && wanted < 1) drop_improbable((1 - wanted) * sum);
  rank();
  for (Candidate& candidate : candidates_) candidate.probability /= sum;
}

std::span<const Candidate> Sampler::distribution(std::span<const float> logits,
                                                 const History& history,
                                                 const SamplingOptions& options) {
  prepare(logits, history, options, 1);
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, const History& history,
                             const SamplingOptions& options, const DrawPlace& place) {
  double left = uniform(place);
  constexpr double kSlack = 1e-9;  // far more than rounding
  prepare(logits, history, options, left + kSlack);
  for (const Candidate& candidate : candidates_) {
    left -= candidate.probability;
    if (left < 0) return candidate.token;
  }
  return candidates_.back().token;  // rounding left a remainder
}

}  // namespace aira
