// From logits to a token, with Hugging Face's semantics and order: logit bias -> repetition penalty
// -> no repeated n-grams -> bad words -> no early end -> temperature -> top-k -> top-p -> min-p ->
// typical-p -> draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// What the next token is to follow.
struct History {
  std::span<const std::int32_t> ids;           // the prompt and what was generated
  std::int64_t prompt = 0;                     // how many of ids are the prompt
  std::span<const std::int32_t> end_ids = {};  // tokens that end the text
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

  /// Picks the next token. `logits` [V] is left as it was. Throws Error when no logit is a number
  /// (a broken checkpoint) or the options forbid every token, UsageError when they name a token
  /// that the vocabulary lacks.
  std::int32_t sample(std::span<const float> logits, const History& history,
                      const SamplingOptions& options, const DrawPlace& place);

  /// The distribution that `sample` draws from, most probable first, ties by id. Valid until the
  /// next call.
  std::span<const Candidate> distribution(std::span<const float> logits, const History& history,
                                          const SamplingOptions& options);

 private:
  void prepare(std::span<const float> logits, const History& history,
               const SamplingOptions& options, double wanted);
  void take_candidates(const SamplingOptions& options);
  float top_k_threshold(std::int64_t top_k);
  void keep_top_p(double top_p);
  void keep_typical(double mass);
  double depth(const Candidate& candidate) const;
  double total() const;
  template <typename Bin>
  double drop_far(const Bin& bin, double droppable);
  double drop_improbable(double droppable);
  void rank();

  std::vector<float> scores_;          // [V], of the processed logits
  std::vector<std::uint8_t> seen_;     // [V], whether the history holds it
  std::vector<Candidate> candidates_;  // up to V
  double best_ = 0;                    // of the scores
  double temperature_ = 1;
  bool ranked_ = false;  // candidates_ are in their final order
};

}  // namespace aira
