// Beam search as transformers' `generate` does it without sampling: the bookkeeping of one prompt,
// without a model. Whoever runs the model computes logits for the running beams, passes them to
// `rank`, calls `advance`, and lets each new beam continue its parent's keys and values.
#pragma once

#include <functional>

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
  /// are valid and as tasks have them, `prompt` is not empty. `bytes_of` gives a token's text, in
  /// which options.stop is looked for.
  BeamSearch(GenerateOptions options, std::span<const std::int32_t> prompt,
             std::function<std::string(std::int32_t)> bytes_of = {});

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

  bool ends(const Continuation& continuation) const;
  void finish(const Continuation& continuation, bool ended);
  bool can_improve() const;

  GenerateOptions options_;
  std::function<std::string(std::int32_t)> bytes_of_;
  std::size_t prompt_;          // ids
  std::size_t considered_ = 0;  // continuations of all beams together, the best
  std::int64_t generated_ = 0;  // ids of the running beams beyond the prompt
  std::vector<Beam> running_;
  std::vector<Answer> finished_;                                 // best first, up to num_beams
  std::vector<std::vector<TokenLogProbability>> continuations_;  // [beam], as far as they matter
};

}  // namespace aira
