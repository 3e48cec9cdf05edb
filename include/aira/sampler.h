// From logits to a token, with Hugging Face's semantics and order: repetition penalty ->
// temperature -> top-k -> top-p -> draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aira {

struct SamplingOptions {
  double temperature = 0.2;         // > 0
  std::int64_t top_k = 30;          // >= 0; 0 = off
  double top_p = 0.3;               // in (0, 1]; 1 = off
  double repetition_penalty = 1.2;  // > 0; 1 = off
  bool greedy = false;              // most probable token after the penalty

  /// Throws UsageError that names the option and its legal range.
  void validate() const;
  bool operator==(const SamplingOptions&) const = default;
};

/// A token and its probability under the warped distribution (after all steps).
struct Candidate {
  std::int32_t token = 0;
  double probability = 0;
};

/// Where a draw stands in the random stream: Philox4x32-10 (Salmon et al., SC'11) keyed by the
/// seed. The same place gives the same number on every machine.
struct DrawPlace {
  std::uint64_t seed = 0;
  std::uint32_t answer = 0;  // which of the -n answers
  std::uint32_t index = 0;   // which token of the answer
};

/// A number in [0, 1) with 53 random bits.
double uniform(const DrawPlace& place);

/// Said when no logit is a number, by whoever samples.
inline constexpr const char* kNoNumber =
    "The model's output is not a number; its weights are damaged, or too large for the chosen "
    "--dtype (try f32).";

/// Holds the scratch memory of one vocabulary, so that a token costs no allocation.
class Sampler {
 public:
  explicit Sampler(std::int64_t vocab);

  /// Picks the next token. `history` = prompt and generated ids. `logits` [V] is left as it was.
  /// Throws Error when no logit is a number (a broken checkpoint).
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> history,
                      const SamplingOptions& options, const DrawPlace& place);

  /// The distribution that `sample` draws from, most probable first, ties by id. Valid until the
  /// next call.
  std::span<const Candidate> distribution(std::span<const float> logits,
                                          std::span<const std::int32_t> history,
                                          const SamplingOptions& options);

 private:
  void penalise(std::span<const float> logits, std::span<const std::int32_t> history,
                double penalty);
  void keep_top_k(std::int64_t top_k);

  std::vector<float> scores_;          // [V], after the penalty
  std::vector<Candidate> candidates_;  // up to V
};

/// log softmax(logits)[token], in double precision.
double log_probability(std::span<const float> logits, std::int32_t token);

}  // namespace aira
