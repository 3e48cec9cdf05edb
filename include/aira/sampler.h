// From logits to a token, with Hugging Face's semantics and order: logit bias -> repetition penalty
// -> no repeated n-grams -> bad words -> no early end -> temperature -> top-k -> top-p -> min-p ->
// typical-p -> draw.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace aira {

struct SamplingOptions {
  double temperature = 0.2;         // > 0
  std::int64_t top_k = 30;          // >= 0; 0 = off
  double top_p = 0.3;               // in (0, 1]; 1 = off
  double min_p = 0;                 // in [0, 1], of the most probable token's; 0 = off
  double typical_p = 1;             // in (0, 1]; 1 = off
  double repetition_penalty = 1.2;  // > 0; 1 = off
  bool greedy = false;              // the best token before temperature, nothing after it applies

  std::int64_t no_repeat_ngram_size = 0;                  // >= 0; 0 = off
  std::int64_t min_new_tokens = 0;                        // >= 0; no end token before these
  std::vector<std::vector<std::int32_t>> bad_words = {};  // sequences of ids that must not come up
  /// Added to the logits of these ids; the last counts where an id comes twice.
  std::vector<std::pair<std::int32_t, float>> logit_bias = {};
  /// Beam search adds log-probabilities that sum to 1 again after all of the above. A draw does so
  /// in any case.
  bool renormalize_logits = false;

  /// Throws UsageError that names the option and its legal range.
  void validate() const;
  bool operator==(const SamplingOptions&) const = default;
};

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

  /// The steps before temperature, in place: logits [V] to the scores whose order decides what
  /// greedy and top-k choose. A score depends on its own logit alone and never falls where that
  /// rises. Throws UsageError when options name a token that the vocabulary lacks.
  void process(std::span<float> scores, const History& history, const SamplingOptions& options);

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

struct TokenLogProbability {
  std::int32_t token = 0;
  double log_probability = 0;
};

/// The model's own distribution, before any processing, in double precision. `logits` must outlive
/// it.
class LogSoftmax {
 public:
  explicit LogSoftmax(std::span<const float> logits);

  double operator[](std::int32_t token) const {
    return static_cast<double>(logits_[static_cast<std::size_t>(token)]) - highest_ - log_sum_;
  }
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
