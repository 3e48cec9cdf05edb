// What is computed from a row of logits besides drawing: log-probabilities, the best tokens, and
// transformers' logits processors, which sampling applies to logits and beam search to
// log-probabilities.
#pragma once

#include <cstddef>
#include <span>

#include "aira/generate.h"

namespace aira {

/// The model's own distribution, in double precision. `logits` must outlive it.
class LogSoftmax {
 public:
  explicit LogSoftmax(std::span<const float> logits);

  double operator[](std::int32_t token) const {
    return static_cast<double>(logits_[static_cast<std::size_t>(token)]) - highest_ - log_sum_;
  }
  std::int64_t size() const { return std::ssize(logits_); }
  double highest() const { return highest_; }  // of the logits
  /// The k most probable tokens (all, when there are fewer), most probable first, ties by id.
  std::vector<TokenLogProbability> top(std::int64_t k) const;

 private:
  std::span<const float> logits_;
  double highest_ = 0;
  double log_sum_ = 0;  // of exp(logit - highest)
};

/// The up to k tokens with the highest scores and these, best first, ties by id; none of -infinity.
std::vector<TokenLogProbability> best_tokens(std::span<const float> scores, std::size_t k);

/// What the next token follows.
struct History {
  std::span<const std::int32_t> ids;           // prompt and generated
  std::int64_t prompt = 0;                     // how many of them are the prompt
  std::span<const std::int32_t> end_ids = {};  // tokens that end the text
  std::int64_t longest = 0;                    // how many ids the text may have in the end
};

/// Memory for one row of a vocabulary of V.
struct ScoreRow {
  explicit ScoreRow(std::int64_t vocab)
      : scores(static_cast<std::size_t>(vocab)), seen(static_cast<std::size_t>(vocab)) {}

  std::vector<float> scores;       // [V]
  std::vector<std::uint8_t> seen;  // [V], scratch
};

/// Biases -> repetition penalty -> presence and frequency penalty -> no repeated n-grams -> bad
/// words -> no early end -> forced tokens
/// -> ever likelier end -> suppressed tokens, on row.scores. A forbidden token gets -infinity. Ids
/// of biases, bad words and forced tokens must be below V.
void process_scores(ScoreRow& row, const History& history, const SamplingOptions& options);

/// The error for logits that are NaN or infinite.
[[noreturn]] void throw_not_a_number();
/// The error for options that forbid every token.
[[noreturn]] void throw_nothing_left();

}  // namespace aira
