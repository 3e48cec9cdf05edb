// Continuous batching: each step computes one token of every running answer and, beside them,
// chunks of new prompts. What a request yields does not depend on what runs beside it. A step is
// plan, compute, commit: nothing that others rely on (pages of the prefix cache, tokens, texts) is
// published before the computation has succeeded; if it fails, the requests with rows in it fail.
#pragma once

#include <deque>
#include <optional>

#include "base/thread_pool.h"
#include "run/task.h"

namespace aira {

class Scheduler {
 public:
  /// `slots`: sequences at once; the memory for them is taken here. `end_ids` end an answer.
  /// Drawing and scoring on the host use `threads`.
  Scheduler(const Model& model, const Tokenizer& tokenizer, Backend& backend, ThreadPool& threads,
            std::vector<std::int32_t> end_ids, std::int64_t slots);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// The task that a request becomes. Throws Error or UsageError for one that can never be done.
  /// May be called from any thread.
  std::shared_ptr<Task> make_task(Request request, Listener listener) const;
  void submit(std::shared_ptr<Task> task);

  /// Computes one step for everything that runs and lets waiting requests begin where there is
  /// room. False when there was nothing to do.
  bool step();
  /// Requests that have not begun.
  std::size_t waiting() const { return waiting_.size(); }
  bool idle() const { return waiting_.empty() && running_.empty() && flights_.empty(); }
  /// What requests hold, and what is free.
  const Sequences& sequences() const { return sequences_; }
  /// Ends a request with what there is.
  void cancel(Task& task);
  void cancel_all();
  /// Fails every request for a reason common to all.
  void fail_all(const Error& error) noexcept;
  void fail_all_for_memory() noexcept;

 private:
  /// A row whose logits are wanted.
  struct Output {
    std::shared_ptr<Sequence> sequence;
    std::int64_t position = 0;
    Want want;
    Choice choice = {};
    std::optional<Error> problem = {};
  };
  /// What becomes of a step's results. In flight: the host does not know its tokens yet.
  struct Step {
    /// Sequences and how many of their positions are computed once the step has succeeded.
    std::vector<std::pair<std::shared_ptr<Sequence>, std::int64_t>> parts;
    std::vector<Output> outputs;
  };

  template <typename Work>
  std::optional<Error> error_of(const Work& work) const;
  void begin_waiting();
  void plan();
  void add_rows(const std::shared_ptr<Sequence>& sequence);
  bool plan_draws();
  void compute();
  void evaluate(Output& output, std::span<const float> logits, Sampler& sampler) const;
  void launch();
  void land();
  void commit(Output& output);
  static void fail(const Step& step, const Error& error);
  template <typename End>
  void end_all(const End& end);
  void remove_done();

  const Error no_memory_{"[E002] There is not enough memory."};  // made while there is some
  const Model& model_;
  ThreadPool& threads_;
  TaskContext context_;
  Session session_;
  Sequences sequences_;
  std::vector<Sampler> samplers_;  // of each thread
  std::deque<std::shared_ptr<Task>> waiting_;
  std::vector<std::shared_ptr<Task>> running_;
  // The step being planned.
  std::vector<Row> rows_;
  std::vector<std::int32_t> output_rows_;
  std::vector<DeviceDraw> draws_;
  Step planned_;
  std::deque<Step> flights_;  // the earliest first
};

}  // namespace aira
