#include "run/log_softmax.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "cpu/kernels.h"
#include "run/keep_best.h"

namespace aira {
namespace {

/// The greatest number, NaN ignored; in lanes, which the compiler turns into vectors.
float greatest(std::span<const float> numbers) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= numbers.size(); i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] = std::max(lanes[l], numbers[i + l]);
  }
  for (; i < numbers.size(); ++i) lanes[0] = std::max(lanes[0], numbers[i]);
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace

LogSoftmax::LogSoftmax(std::span<const float> logits)
    : logits_(logits), highest_(greatest(logits)) {
  static const cpu::Kernels& kernels = cpu::choose_kernels();
  log_sum_ =
      std::log(kernels.sum_exp(logits.data(), static_cast<std::int64_t>(logits.size()), highest_));
}

std::vector<TokenLogProbability> LogSoftmax::top(std::int64_t k) const {
  const auto before = [](const TokenLogProbability& a, const TokenLogProbability& b) {
    return a.log_probability != b.log_probability ? a.log_probability > b.log_probability
                                                  : a.token < b.token;
  };
  const std::size_t most =
      std::min(static_cast<std::size_t>(std::max<std::int64_t>(k, 0)), logits_.size());
  std::vector<TokenLogProbability> best;
  if (most == 0) return best;
  best.reserve(most);
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    const auto token = static_cast<std::int32_t>(i);
    // Distinct logits may round to one log-probability, so the logits are what is compared.
    const double logit = logits_[i];
    if (best.size() == most && !(logit > best.front().log_probability)) continue;
    keep_best(best, most, {token, logit}, before);
  }
  std::sort_heap(best.begin(), best.end(), before);
  for (TokenLogProbability& entry : best) entry.log_probability = (*this)[entry.token];
  return best;
}

double log_probability(std::span<const float> logits, std::int32_t token) {
  return LogSoftmax(logits)[token];
}

}  // namespace aira
