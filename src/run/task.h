// A request at work: a question with its answers, a beam search, a text to score. A task owns
// sequences; the scheduler computes them, many tasks together, asks what each output row is for
// (want) and hands over what came of it (accept).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>

#include "aira/engine.h"
#include "base/seconds.h"
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

/// What all tasks of a scheduler share.
struct TaskContext {
  const Tokenizer& tokenizer;
  std::vector<std::int32_t> end_ids;
  std::int64_t context;

  auto bytes_of() const {
    return [this](std::int32_t id) { return tokenizer.bytes(id); };
  }
};

/// What it yields goes into a mailbox as events, which run on the threads that hold its Ticket. All
/// but run_events() belongs to the engine's thread.
class Task {
 public:
  explicit Task(Listener listener) : listener_(std::move(listener)) {}
  virtual ~Task() = default;

  /// Slots that must be free before the task may begin.
  virtual std::int64_t slots() const { return 1; }
  /// Called when it begins and before each step: closes sequences that have ended, opens others
  /// where there is room.
  virtual void advance(Sequences& sequences) = 0;
  /// What the logits after a position of `sequence` are for; by default, to be evaluated.
  virtual Want want(const Sequence& /*sequence*/) { return {}; }
  /// Evaluates a row of logits [V] that is not for drawing. Called for several rows at once, each
  /// with a sampler of its own, before any accept(). May throw Error, which fails the task.
  virtual void evaluate(const Sequence& /*sequence*/, std::int64_t /*position*/,
                        std::span<const float> /*logits*/, Sampler& /*sampler*/) {}
  /// Takes what came of one row: the token drawn, already the sequence's next id unless Want::last,
  /// and its log-probabilities as far as Want::logprobs asked for them. May open and close
  /// sequences, but not those with rows in this step that were not accepted yet. May throw Error,
  /// which fails the task.
  virtual void accept(Sequence& sequence, Choice choice, Sequences& sequences) = 0;

  bool done() const { return done_; }
  void begin() {
    if (listener_.begun) post([this] { listener_.begun(); });
  }
  /// Ends with what there is.
  virtual void cancel() = 0;
  /// Whoever waits is told, come what may.
  void fail(const Error& error) noexcept {
    try {
      if (!done_ && listener_.failed) post([this, error] { listener_.failed(error); });
    } catch (const std::exception&) {
      lost_ = true;
    }
    try {
      finish();
    } catch (const std::exception&) {  // of due(), which the events before have called, too
    }
  }

  /// Runs the events, with `waits` until there will be no more. True when there will be none.
  /// Throws std::bad_alloc when there was no memory for one.
  bool run_events(bool waits) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (waits) posted_.wait(lock, [&] { return done_ || !events_.empty(); });
      if (events_.empty() && done_ && lost_.exchange(false)) throw std::bad_alloc();
      if (events_.empty()) return done_;
      const std::function<void()> event = std::move(events_.front());
      events_.pop_front();
      lock.unlock();
      event();
      lock.lock();
    }
  }

 protected:
  const Listener& listener() const { return listener_; }
  void post(std::function<void()> event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      posted_.notify_all();
    }
    if (listener_.due) listener_.due();
  }
  void hand_over(std::size_t number, Answer answer) {
    if (!listener_.finished) return;
    post([this, number, answer = std::move(answer)] { listener_.finished(number, answer); });
  }
  /// After the last event.
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
      posted_.notify_all();
    }
    if (listener_.due) listener_.due();
  }

 private:
  const Listener listener_;
  std::mutex mutex_;  // for what follows
  std::condition_variable posted_;
  std::deque<std::function<void()>> events_;
  std::atomic<bool> lost_ = false;
  bool done_ = false;  // written by the engine's thread, which reads it without the lock
};

/// Answers by sampling, by beam search, and the log-likelihood of a text. Of the options,
/// max_new_tokens fits the context and is the only limit, as min_new_tokens is the only minimum;
/// eos_token_id, stop and bad_words are complete.
std::shared_ptr<Task> make_answer_task(GenerateRequest request, Listener listener,
                                       const TaskContext& context);
std::shared_ptr<Task> make_beam_task(GenerateRequest request, Listener listener,
                                     const TaskContext& context);
/// The most probable of GenerateRequest::candidates, with up to `slots` sequences at once. Throws
/// Error when one does not fit the context after the prompt.
std::shared_ptr<Task> make_choice_task(GenerateRequest request, Listener listener,
                                       const TaskContext& context, std::int64_t slots);
std::shared_ptr<Task> make_score_task(ScoreRequest request, Listener listener,
                                      const TaskContext& context);

}  // namespace aira
