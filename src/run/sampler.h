// From logits to a token, with Hugging Face's semantics and order: process_scores() -> temperature
// -> top-k -> top-p -> min-p -> typical-p -> epsilon and eta cutoff -> draw.
#pragma once

#include <array>
#include <optional>

#include "model/backend.h"
#include "run/scores.h"

namespace aira {

/// A token and its probability under the warped distribution (after all steps).
struct Candidate {
  std::int32_t token = 0;
  double probability = 0;
};

/// Where a draw stands in the random stream, which is keyed by the seed. The same place gives the
/// same number on every machine.
struct DrawPlace {
  std::uint64_t seed = 0;
  std::uint32_t answer = 0;  // which of the -n answers
  std::uint32_t index = 0;   // which token of the answer
};

/// Philox4x32-10, a counter-based random generator (Salmon, Moraes, Dror and Shaw, "Parallel Random
/// Numbers: As Easy as 1, 2, 3", SC'11): number n of a stream needs no number before it.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);
/// A number in [0, 1) with 53 random bits.
double uniform(const DrawPlace& place);

/// These options for a DeviceSampler; nothing when they need the host's Sampler.
std::optional<DeviceDraw> device_draw(const SamplingOptions& options, double uniform);

/// Holds the scratch memory of one vocabulary.
class Sampler {
 public:
  explicit Sampler(std::int64_t vocab);

  /// Draws the next token. `logits` [V] is not changed. Throws Error when a logit is NaN (a broken
  /// checkpoint) or the options forbid every token.
  std::int32_t sample(std::span<const float> logits, const History& history,
                      const SamplingOptions& options, const DrawPlace& place);

  /// The distribution that `sample` draws from, most probable first, ties by id; at least those
  /// that have `wanted` of the mass. Valid until the next call.
  std::span<const Candidate> distribution(std::span<const float> logits, const History& history,
                                          const SamplingOptions& options, double wanted = 1);

  /// For other work on a row between calls.
  ScoreRow& row() { return row_; }

 private:
  double take_candidates(std::int64_t top_k);
  void keep_top_p(double top_p);
  void keep_typical(double mass);
  void cut_off(double epsilon);
  double entropy() const;
  double drop_improbable(double droppable);
  double total() const;
  void rank();

  ScoreRow row_;                       // the processed logits
  std::vector<Candidate> candidates_;  // up to V
};

}  // namespace aira
