// Beam search as transformers' `generate` does it without sampling: the bookkeeping of one prompt,
// without a model. Whoever runs the model computes logits for the running beams, passes them to
// `rank`, calls `advance`, and lets each new beam continue its parent's keys and values.
#pragma once

#include "aira/generate.h"
#include "run/scores.h"

namespace aira {

/// A running beam as the continuation of an earlier one.
struct Beam {
  std::size_t parent = 0;         // its number among the previous running beams
  double score = 0;               // sum of processed log-probabilities
  std::vector<std::int32_t> ids;  // prompt and generated
};

class BeamSearch {
 public:
  /// Of options.sampling, what comes before temperature applies, to log-probabilities. The options
  /// are valid, `prompt` is not empty.
  BeamSearch(GenerateOptions options, std::span<const std::int32_t> prompt,
             std::span<const std::int32_t> end_ids);

  /// Best first; at first there is one, the prompt. None when done.
  std::span<const Beam> beams() const { return running_; }
  bool done() const { return running_.empty(); }

  /// Takes the logits [V] of beams()[beam] and ranks its continuations. Different beams may be
  /// ranked at the same time, each with scratch memory of its own. Throws Error when the logits are
  /// not numbers.
  void rank(std::size_t beam, std::span<const float> logits, ScoreRow& scratch);
  /// Goes one token on, once every running beam has been ranked. Throws Error when the options
  /// forbid every token.
  void advance();

  /// The best finished texts, best first: `options.answers` of them once done, fewer only if the
  /// options forbade so much that there are no more. Of each: token_ids, finish, logprob (the sum
  /// of processed log-probabilities) and score.
  std::span<const Answer> results() const;

 private:
  struct Continuation;

  bool is_end(std::int32_t token) const;
  void finish(const Continuation& continuation);
  bool can_improve() const;

  GenerateOptions options_;
  std::vector<std::int32_t> end_ids_;  // each once
  std::size_t prompt_;                 // ids
  std::int64_t generated_ = 0;         // ids of the running beams beyond the prompt
  std::vector<Beam> running_;
  std::vector<Answer> finished_;                                 // best first, up to num_beams
  std::vector<std::vector<TokenLogProbability>> continuations_;  // [beam], as far as they matter
};

}  // namespace aira
