// From logits to a token, with Hugging Face's semantics and order: logit bias -> repetition penalty
// -> no repeated n-grams -> bad words -> no early end -> temperature -> top-k -> top-p -> min-p ->
// typical-p -> draw.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/backend.h"
#include "run/processors.h"

namespace aira {

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

/// These options for a DeviceSampler; nothing when they need the host's Sampler.
std::optional<DeviceDraw> device_draw(const SamplingOptions& options, double uniform);

/// Holds the scratch memory of one vocabulary, so that a token costs no allocation.
class Sampler {
 public:
  explicit Sampler(std::int64_t vocab);

  /// Draws the next token. `logits` [V] is not changed. Throws Error when a logit is NaN (a broken
  /// checkpoint) or the options forbid every token.
  std::int32_t sample(std::span<const float> logits, const History& history,
                      const SamplingOptions& options, const DrawPlace& place);

  /// The distribution that `sample` draws from, most probable first, ties by id. Valid until the
  /// next call.
  std::span<const Candidate> distribution(std::span<const float> logits, const History& history,
                                          const SamplingOptions& options);

  /// For other work on a row between calls.
  ProcessorScratch& scratch() { return scratch_; }

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

  ProcessorScratch scratch_;           // scores: the processed logits
  std::vector<Candidate> candidates_;  // up to V
  double best_ = 0;                    // of the scores
  double temperature_ = 1;
  bool ranked_ = false;  // candidates_ are in their final order
};

}  // namespace aira
