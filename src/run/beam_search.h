// Beam search as transformers' `generate` does it without sampling: the bookkeeping of one prompt,
// without a model. Whoever runs the model computes logits for the running beams, passes them to
// `rank`, calls `advance`, and lets each new beam continue its parent's keys and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aira/generate.h"
#include "run/processors.h"

namespace aira {

struct BeamOptions {
  std::int64_t beams = 1;       // > 0
  double length_penalty = 0.3;  // score = log-probability / length^penalty
  EarlyStopping early_stopping = EarlyStopping::kTrue;
  std::int64_t returned = 1;          // from 1 to beams
  std::int64_t max_new_tokens = 200;  // > 0
};

/// A running beam as the continuation of an earlier one.
struct BeamStep {
  std::int32_t parent = 0;  // its number among the previous running beams
  std::int32_t token = 0;
};

/// A finished text.
struct Hypothesis {
  std::vector<std::int32_t> ids;  // generated ids, the end token included
  double logprob = 0;             // sum of their processed log-probabilities
  double score = 0;               // transformers' sequences_scores: logprob / length^penalty
  bool ended = false;             // by an end token; otherwise by length
};

class BeamSearch {
 public:
  /// Of `sampling`, what comes before temperature applies, to log-probabilities. Both kinds of
  /// options are valid, `prompt` is not empty.
  BeamSearch(const BeamOptions& options, const SamplingOptions& sampling,
             std::span<const std::int32_t> prompt, std::span<const std::int32_t> end_ids);

  /// Takes the logits [V] of running beam number `beam` and ranks its continuations. Beams are
  /// numbered in the order of the last advance(); at first there is one, the prompt. Different
  /// beams may be ranked at the same time, each with scratch memory of its own. Throws Error when
  /// the logits are not numbers.
  void rank(std::size_t beam, std::span<const float> logits, ProcessorScratch& scratch);
  /// Goes one token on, once every running beam has been ranked. Returns the beams that run on,
  /// best first; none when done. Throws Error when the options forbid every token.
  std::span<const BeamStep> advance();

  bool done() const { return done_; }

  /// Prompt and generated ids of a running beam.
  std::span<const std::int32_t> ids(std::size_t beam) const;

  /// The `returned` best finished texts, best first; fewer when done only if the options forbade so
  /// much that there are no more.
  std::span<const Hypothesis> results() const;

 private:
  struct Continuation {
    double score = 0;  // sum of processed log-probabilities
    std::int32_t parent = 0;
    std::int32_t token = 0;
  };
  struct Running {
    std::vector<double> scores;
    std::vector<std::int32_t> ids;  // [beams, capacity]
  };

  static bool precedes(const Continuation& a, const Continuation& b);
  void merge();
  bool is_end(std::int32_t token) const;
  void finish(const Continuation& continuation);
  void keep_running(const Continuation& continuation);
  bool can_improve() const;

  BeamOptions options_;
  SamplingOptions sampling_;
  std::vector<std::int32_t> end_ids_;
  std::size_t prompt_;
  std::size_t length_;    // of the running beams, the prompt included
  std::size_t capacity_;  // the length at which they end
  bool done_ = false;
  Running running_;
  Running next_;
  std::vector<BeamStep> steps_;
  std::vector<Hypothesis> finished_;                // best first, up to `beams`
  std::vector<std::vector<Continuation>> of_beam_;  // [beams], as far as they can matter
  std::vector<Continuation> ranked_;                // of all beams, best first
};

}  // namespace aira
