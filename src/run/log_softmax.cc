#include "run/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "run/keep_best.h"

namespace aira {

LogSoftmax::LogSoftmax(std::span<const float> logits) : logits_(logits) {
  highest_ = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest_);
  log_sum_ = std::log(sum);
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
