// transformers' logits processors: what depends on the text so far. Sampling applies them to
// logits, beam search to log-probabilities.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// What the next token follows.
struct History {
  std::span<const std::int32_t> ids;           // prompt and generated
  std::int64_t prompt = 0;                     // how many of them are the prompt
  std::span<const std::int32_t> end_ids = {};  // tokens that end the text
};

/// Memory for one row of a vocabulary of V.
struct ProcessorScratch {
  explicit ProcessorScratch(std::int64_t vocab)
      : scores(static_cast<std::size_t>(vocab)), seen(static_cast<std::size_t>(vocab)) {}

  std::vector<float> scores;       // [V]
  std::vector<std::uint8_t> seen;  // [V]
};

/// Logit bias -> repetition penalty -> no repeated n-grams -> bad words -> no early end, in place.
/// A forbidden token gets -infinity. `seen` [V] is scratch memory. Ids in the options must be below
/// V (GenerateOptions::check_vocabulary).
void process_scores(std::span<float> scores, std::span<std::uint8_t> seen, const History& history,
                    const SamplingOptions& options);

/// The error for logits that are NaN or infinite.
[[noreturn]] void throw_not_a_number();
/// The error for options that forbid every token.
[[noreturn]] void throw_nothing_left();

}  // namespace aira
