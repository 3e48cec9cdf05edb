// Beam search as transformers' `generate` does it without sampling: the bookkeeping of one prompt,
// without a model. Whoever runs the model computes logits for the running beams, hands them to
// `advance` and lets each new beam continue its parent's keys and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aira/generate.h"
#include "run/sampler.h"

namespace aira {

struct BeamOptions {
  std::int64_t beams = 1;       // > 0
  double length_penalty = 0.3;  // score = log-probability / length^penalty
  EarlyStopping early_stopping = EarlyStopping::kTrue;
  std::int64_t returned = 1;          // from 1 to beams
  std::int64_t max_new_tokens = 200;  // > 0
};

/// How a running beam came about.
struct BeamStep {
  std::int32_t parent = 0;  // its place among the running beams before
  std::int32_t token = 0;
};

/// A text that has come to its end.
struct Hypothesis {
  std::vector<std::int32_t> ids;  // generated ids, the end token included
  double logprob = 0;             // sum of their processed log-probabilities
  double score = 0;               // transformers' sequences_scores: logprob / length^penalty
  bool ended = false;             // by an end token; otherwise by length
};

class BeamSearch {
 public:
  /// Of `sampling`, what comes before temperature applies, to log-probabilities. Takes all memory
  /// that depends on `vocab` here. Both kinds of options are valid, `prompt` is not empty.
  BeamSearch(const BeamOptions& options, const SamplingOptions& sampling,
             std::span<const std::int32_t> prompt, std::span<const std::int32_t> end_ids,
             std::int64_t vocab);

  /// Goes one token on. `logits` [running beams, V] are in the order of the last call's steps; the
  /// first time they are the prompt's alone, [1, V]. Returns the beams that run on, best first;
  /// none when done. Throws Error when the logits are no numbers or the options forbid every token.
  std::span<const BeamStep> advance(std::span<const float> logits);

  bool done() const { return done_; }

  /// Prompt and generated ids of a running beam.
  std::span<const std::int32_t> ids(std::size_t beam) const;

  /// The `returned` best texts that have ended, best first. When done they are as many as asked
  /// for, unless the options forbade so much that there are no more.
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
  void score_row(std::span<const float> logits, std::size_t beam);
  void rank(std::span<const float> logits);
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
  std::vector<Hypothesis> finished_;  // best first, up to `beams`
  std::vector<Continuation> ranked_;
  std::vector<float> scores_;       // [V]
  std::vector<std::uint8_t> seen_;  // [V]
};

}  // namespace aira
