// The steps between a model's output and the choice that depend on the text so far, as
// transformers' logits processors do them. Sampling applies them to logits, beam search to
// log-probabilities.
#pragma once

#include <cstdint>
#include <span>

#include "run/sampler.h"

namespace aira {

/// Logit bias -> repetition penalty -> no repeated n-grams -> bad words -> no early end, in place.
/// A forbidden token gets -infinity. `seen` [V] is scratch memory. Throws UsageError when an option
/// names a token that the vocabulary lacks.
void process_scores(std::span<float> scores, std::span<std::uint8_t> seen, const History& history,
                    const SamplingOptions& options);

/// The error for a model's output that has NaN or infinity where numbers are due.
[[noreturn]] void throw_not_a_number();
/// The error for options that leave no token to go on with.
[[noreturn]] void throw_nothing_left();

}  // namespace aira
