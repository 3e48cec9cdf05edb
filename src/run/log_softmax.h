// log softmax of a model's output, in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// The model's own distribution, before any processing. `logits` must outlive it.
class LogSoftmax {
 public:
  explicit LogSoftmax(std::span<const float> logits);

  double operator[](std::int32_t token) const {
    return static_cast<double>(logits_[static_cast<std::size_t>(token)]) - highest_ - log_sum_;
  }
  float highest() const { return static_cast<float>(highest_); }  // of the logits
  /// The k most probable tokens (all, when there are fewer), most probable first, ties by id.
  std::vector<TokenLogProbability> top(std::int64_t k) const;

 private:
  std::span<const float> logits_;
  double highest_ = 0;
  double log_sum_ = 0;  // of exp(logit - highest)
};

/// log softmax(logits)[token], in double precision.
double log_probability(std::span<const float> logits, std::int32_t token);

}  // namespace aira
