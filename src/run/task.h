// A request at work: a question with its answers, a beam search, a text to score. A task owns
// sequences; the scheduler computes them, many tasks together, asks what each output row is for
// (want) and hands over what came of it (accept).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "aira/engine.h"
#include "run/sampler.h"
#include "run/sequences.h"

namespace aira {

/// What the output row at a position of a sequence is for.
struct Want {
  /// Draw the token that follows with these options; null: the task evaluates the logits itself.
  const SamplingOptions* sampling = nullptr;
  History history = {};
  DrawPlace place = {};
  bool last = false;           // the sequence does not go on from the drawn token
  std::int64_t logprobs = -1;  // also log-probabilities, with this many alternatives; -1: no
};

/// What came of it.
struct Outcome {
  std::int32_t token = 0;  // drawn; already the sequence's next id unless Want::last
  Choice choice = {};      // as far as Want::logprobs asked for it
};

/// What all tasks of a scheduler share.
struct TaskContext {
  const Tokenizer& tokenizer;
  std::vector<std::int32_t> end_ids;
  std::int64_t context;
};

class Task {
 public:
  explicit Task(Listener listener) : listener_(std::move(listener)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  /// Slots that must be free before the task may begin.
  virtual std::int64_t slots() const { return 1; }
  /// Called when it begins and before each step: closes sequences that have ended, opens others
  /// where there is room.
  virtual void advance(Sequences& sequences) = 0;
  /// What the logits after `position` are for. By default the task evaluates them.
  virtual Want want(const Sequence& /*sequence*/, std::int64_t /*position*/) const { return {}; }
  /// Evaluates a row of logits [V] that is not for drawing. Called for several rows at once, each
  /// with a sampler of its own, before any accept(). May throw Error, which fails the task.
  virtual void evaluate(const Sequence& /*sequence*/, std::int64_t /*position*/,
                        std::span<const float> /*logits*/, Sampler& /*sampler*/) {}
  /// Takes the outcome for one row. May open and close sequences, but not those with rows in this
  /// step that were not accepted yet. May throw Error, which fails the task.
  virtual void accept(Sequence& sequence, Outcome outcome, Sequences& sequences) = 0;

  bool done() const { return done_; }
  /// Ends with what there is.
  virtual void cancel() = 0;
  void fail(const Error& error) {
    if (std::exchange(done_, true)) return;
    if (listener_.failed) listener_.failed(error);
  }

 protected:
  void finish() { done_ = true; }
  void hand_over(std::size_t number, const Answer& answer) const {
    if (listener_.finished) listener_.finished(number, answer);
  }
  const Listener& listener() const { return listener_; }

 private:
  Listener listener_;
  bool done_ = false;
};

/// Answers by sampling, by beam search, and the log-likelihood of a text. Of the options,
/// max_new_tokens fits the context, and stop and bad_words are complete.
std::shared_ptr<Task> make_answer_task(GenerateRequest request, Listener listener,
                                       const TaskContext& context);
std::shared_ptr<Task> make_beam_task(GenerateRequest request, Listener listener,
                                     const TaskContext& context);
std::shared_ptr<Task> make_score_task(ScoreRequest request, Listener listener,
                                      const TaskContext& context);

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace aira
