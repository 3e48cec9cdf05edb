// As transformers' logits warpers (Temperature-, TopK-, TopP-, MinP-, Typical-, Epsilon- and
// EtaLogitsWarper), in double precision. The whole vocabulary is never sorted to keep a few tokens.
#include "run/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace aira {
namespace {

/// Sorting up to this many candidates costs nothing that matters.
constexpr std::size_t kFew = 512;

/// Throws unless the best processed score is finite.
void check_best(double best, std::span<const float> logits) {
  if (std::isfinite(best)) return;
  if (*std::max_element(logits.begin(), logits.end()) > best) throw_nothing_left();
  throw_not_a_number();
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;  // golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

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
  // By a smaller penalty numbers overflow, which the host knows how to take.
  constexpr double kLeastPenalty = 1e-30;
  if (options != known || options.repetition_penalty < kLeastPenalty) return std::nullopt;
  const bool best = options.takes_best();
  return DeviceDraw{.temperature = best ? 1 : options.temperature,
                    .top_p = best ? 1 : options.top_p,
                    .uniform = uniform,
                    .penalty = static_cast<float>(options.repetition_penalty),
                    .top_k = static_cast<std::int32_t>(options.top_k),
                    .greedy = best};
}

Sampler::Sampler(std::int64_t vocab) : row_(vocab) {
  candidates_.reserve(static_cast<std::size_t>(vocab));
}

/// Fills candidates_ with the scores that survive top-k; ties with the k-th stay. Returns the best.
double Sampler::take_candidates(std::int64_t top_k) {
  const std::vector<float>& scores = row_.scores;
  double best = -std::numeric_limits<double>::infinity();
  double threshold = std::numeric_limits<float>::lowest();
  if (top_k > 0 && top_k < static_cast<std::int64_t>(scores.size())) {
    const auto kept = best_tokens(scores, static_cast<std::size_t>(top_k));
    if (!kept.empty()) threshold = kept.back().log_probability;
  }
  candidates_.clear();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] >= threshold) candidates_.push_back({static_cast<std::int32_t>(i), scores[i]});
  }
  for (const Candidate& candidate : candidates_) best = std::max(best, candidate.probability);
  return best;
}

double Sampler::total() const {
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.probability;
  return sum;
}

/// More probable first; ties go to the lower id, so that the order is total.
void Sampler::rank() {
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
  });
}

/// Makes many candidates fewer before they are sorted: drops the least probable ones, of which even
/// as many as there are candidates weigh less than `droppable`. Returns the weight dropped.
double Sampler::drop_improbable(double droppable) {
  if (candidates_.size() <= kFew) return 0;
  const double least = droppable / static_cast<double>(candidates_.size());
  double dropped = 0;
  std::erase_if(candidates_, [&](const Candidate& candidate) {
    if (candidate.probability >= least) return false;
    dropped += candidate.probability;
    return true;
  });
  return dropped;
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

/// Of the candidates' distribution, in nats.
double Sampler::entropy() const {
  const double sum = total();
  double entropy = std::log(sum);
  for (const auto& [token, weight] : candidates_) {
    if (weight > 0) entropy -= weight / sum * std::log(weight);
  }
  return entropy;
}

/// Drops the candidates less likely than `epsilon`; always keeps the best.
void Sampler::cut_off(double epsilon) {
  double least = 0;
  for (const Candidate& candidate : candidates_) least = std::max(least, candidate.probability);
  least = std::min(least, epsilon * total());
  std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < least; });
}

/// Keeps the candidates whose surprise is closest to the entropy until they have `mass`, and ties
/// with the last of them.
void Sampler::keep_typical(double mass) {
  const double sum = total();
  const double expected = entropy() - std::log(sum);
  using Distant = std::pair<double, Candidate>;  // from the entropy
  std::vector<Distant> heap;
  for (const Candidate& candidate : candidates_) {
    heap.emplace_back(std::abs(std::log(candidate.probability) + expected), candidate);
  }
  const auto farther = [](const Distant& a, const Distant& b) { return a.first > b.first; };
  std::make_heap(heap.begin(), heap.end(), farther);
  candidates_.clear();
  double kept = 0;
  double farthest = 0;
  while (!heap.empty() &&
         (candidates_.empty() || kept < mass * sum || heap.front().first == farthest)) {
    std::pop_heap(heap.begin(), heap.end(), farther);
    farthest = heap.back().first;
    kept += heap.back().second.probability;
    candidates_.push_back(heap.back().second);
    heap.pop_back();
  }
}

std::span<const Candidate> Sampler::distribution(std::span<const float> logits,
                                                 const History& history,
                                                 const SamplingOptions& options, double wanted) {
  bool damaged = false;
  for (const float logit : logits) damaged |= std::isnan(logit);  // no early exit: vectorises
  if (damaged) throw_not_a_number();
  std::copy(logits.begin(), logits.end(), row_.scores.begin());
  process_scores(row_, history, options);
  if (options.takes_best()) {
    const auto best = std::max_element(row_.scores.begin(),
                                       row_.scores.end());  // the first one
    check_best(*best, logits);
    candidates_.assign(1, {static_cast<std::int32_t>(best - row_.scores.begin()), 1});
    return candidates_;
  }
  const double best = take_candidates(options.top_k);
  check_best(best, logits);
  if (candidates_.size() <= kFew) rank();
  for (Candidate& candidate : candidates_) {
    candidate.probability = std::exp((candidate.probability - best) / options.temperature);
  }
  if (options.top_p < 1) keep_top_p(options.top_p);
  if (options.min_p > 0) {  // of the best, whose weight is 1
    std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < options.min_p; });
  }
  if (options.typical_p < 1) keep_typical(options.typical_p);
  const double epsilon = options.epsilon_cutoff;
  if (epsilon > 0 && epsilon < 1) cut_off(epsilon);
  const double eta = options.eta_cutoff;
  if (eta > 0 && eta < 1) cut_off(std::min(eta, std::sqrt(eta) * std::exp(-entropy())));
  const double sum = total();
  drop_improbable((1 - wanted) * sum);
  rank();
  for (Candidate& candidate : candidates_) candidate.probability /= sum;
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, const History& history,
                             const SamplingOptions& options, const DrawPlace& place) {
  double left = uniform(place);
  constexpr double kSlack = 1e-9;  // far above rounding errors
  distribution(logits, history, options, left + kSlack);
  for (const Candidate& candidate : candidates_) {
    left -= candidate.probability;
    if (left < 0) return candidate.token;
  }
  return candidates_.back().token;  // only rounding errors get here
}

}  // namespace aira
