// Temperature -> top-k -> top-p -> min-p -> typical-p -> draw, as in transformers' logits warpers
// (Temperature-, TopK-, TopP-, MinP-, TypicalLogitsWarper), in double precision. Candidates are
// binned before they are sorted, so that the whole vocabulary is never sorted to keep a few tokens.
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

/// Up to this many candidates, sorting is faster than binning.
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

/// Throws unless the best processed score is finite.
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

std::optional<DeviceDraw> device_draw(const SamplingOptions& options, double uniform) {
  SamplingOptions known;
  known.temperature = options.temperature;
  known.top_k = options.top_k;
  known.top_p = options.top_p;
  known.repetition_penalty = options.repetition_penalty;
  known.greedy = options.greedy;
  if (options != known) return std::nullopt;
  return DeviceDraw{.temperature = options.temperature,
                    .top_p = options.top_p,
                    .uniform = uniform,
                    .penalty = static_cast<float>(options.repetition_penalty),
                    .top_k = static_cast<std::int32_t>(options.top_k),
                    .greedy = options.greedy};
}

Sampler::Sampler(std::int64_t vocab) : scratch_(vocab) {
  candidates_.reserve(static_cast<std::size_t>(vocab));
}

/// The k-th best score.
float Sampler::top_k_threshold(std::int64_t top_k) {
  const auto k = static_cast<std::size_t>(top_k);
  float threshold = -std::numeric_limits<float>::infinity();
  candidates_.clear();  // the k best so far
  for (std::size_t i = 0; i < scratch_.scores.size(); ++i) {
    const float score = scratch_.scores[i];
    if (!(score > threshold)) continue;
    keep_best(candidates_, k, {static_cast<std::int32_t>(i), score}, ranks_before);
    if (candidates_.size() == k) threshold = static_cast<float>(candidates_.front().probability);
  }
  return threshold;
}

/// Fills candidates_ with the scores that can survive top-k (ties with the k-th stay), and min-p
/// where top-p is off; best_ is the best of them.
void Sampler::take_candidates(const SamplingOptions& options) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  double threshold = kNone;
  if (options.top_k > 0 && options.top_k < static_cast<std::int64_t>(scratch_.scores.size())) {
    threshold = top_k_threshold(options.top_k);
    best_ = kNone;
    for (const Candidate& candidate : candidates_) best_ = std::max(best_, candidate.probability);
  } else {
    best_ = *std::max_element(scratch_.scores.begin(), scratch_.scores.end());
    if (options.min_p > 0 && options.top_p == 1) {  // with slack: the exact test comes later
      threshold = best_ + options.temperature * (std::log(options.min_p) - 1);
    }
  }
  candidates_.clear();
  for (std::size_t i = 0; i < scratch_.scores.size(); ++i) {
    const double score = scratch_.scores[i];
    if (score >= threshold && score > kNone) {
      candidates_.push_back({static_cast<std::int32_t>(i), score});
    }
  }
}

/// How many nats a candidate is less probable than the best.
double Sampler::depth(const Candidate& candidate) const {
  const double score = scratch_.scores[static_cast<std::size_t>(candidate.token)];
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

/// Drops whole bins of candidates, the farthest first, while their total weight is at most
/// `droppable`; what should go of the last bin is left for sorting. Always keeps the nearest bin.
/// Returns the weight dropped.
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

/// Drops the least probable candidates while their mass is at most 1 - top_p; always keeps the
/// best.
void Sampler::keep_top_p(double top_p) {
  const double droppable = (1 - top_p) * total();
  double dropped = drop_improbable(droppable);
  rank();
  while (candidates_.size() > 1 && dropped + candidates_.back().probability <= droppable) {
    dropped += candidates_.back().probability;
    candidates_.pop_back();
  }
}

/// Keeps the candidates whose surprise is closest to the entropy until they have `mass`, and ties
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

/// Fills candidates_ with the distribution, at least the most probable ones that have `wanted` of
/// the mass.
void Sampler::prepare(std::span<const float> logits, const History& history,
                      const SamplingOptions& options, double wanted) {
  bool damaged = false;
  for (const float logit : logits) damaged |= std::isnan(logit);  // no early exit: vectorises
  if (damaged) throw_not_a_number();
  std::copy(logits.begin(), logits.end(), scratch_.scores.begin());
  process_scores(scratch_.scores, scratch_.seen, history, options);
  if (options.greedy) {
    const auto best =
        std::max_element(scratch_.scores.begin(), scratch_.scores.end());  // the first of equals
    check_best(*best, logits);
    candidates_.assign(1, {static_cast<std::int32_t>(best - scratch_.scores.begin()), 1});
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
  constexpr double kSlack = 1e-9;  // far above rounding errors
  prepare(logits, history, options, left + kSlack);
  for (const Candidate& candidate : candidates_) {
    left -= candidate.probability;
    if (left < 0) return candidate.token;
  }
  return candidates_.back().token;  // only rounding errors get here
}

}  // namespace aira
