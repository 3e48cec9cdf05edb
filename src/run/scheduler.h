// Many questions at once through one model: continuous batching. Sequences join and leave between
// steps; each step computes one token of every running answer and, beside them, chunks of new
// prompts. What an answer says depends on its own request alone, not on what runs beside it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aira/generate.h"
#include "aira/tokenizer.h"
#include "base/thread_pool.h"
#include "model/model.h"
#include "run/sampler.h"

namespace aira {

class Streams;
struct Stream;
class Task;

/// What has become of a request so far; filled in by Scheduler::step().
template <typename Result>
struct Pending {
  bool done = false;
  std::optional<std::string> problem;  // a sentence, when there is no result
  Result result;
};

/// The answers to one question, in order.
struct Answers {
  std::vector<Answer> list;
  /// How many of the first ones are complete.
  std::size_t complete = 0;
};

/// A question whose prompt is ready.
struct AnswerRequest {
  std::vector<std::int32_t> prompt;
  GenerateOptions options;
  /// Gets each answer's text in pieces of whole letters as soon as they are certain; may be empty.
  /// Not called for beams and for the best of several.
  std::function<void(std::size_t answer, std::string_view text)> on_text;
};

/// The log-likelihood of `ids` from position `first` on, each given those before it.
struct ScoreRequest {
  std::vector<std::int32_t> ids;
  std::int64_t first = 1;  // at least 1
  /// A text longer than the context is scored in windows as lm-evaluation-harness's
  /// loglikelihood_rolling does it, instead of being refused; only with first = 1.
  bool rolling = false;
};

class Scheduler {
 public:
  /// `slots`: most sequences at once; the memory for them is taken here. `end_ids` end an answer.
  /// The host's share of a step is computed on `pool`.
  Scheduler(const Model& model, const Tokenizer& tokenizer, Backend& backend, ThreadPool& pool,
            std::vector<std::int32_t> end_ids, std::int64_t slots);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Puts a request behind those that wait already. Throws Error when it cannot be done at all: the
  /// prompt does not fit (naming both lengths), ids are none of the model's, more beams than slots.
  std::shared_ptr<const Pending<Answers>> ask(AnswerRequest request);
  std::shared_ptr<const Pending<Score>> score(ScoreRequest request);

  /// Runs one step for everything that runs and lets waiting requests begin where there is room.
  /// False when there was nothing to do.
  bool step();
  /// Whether one more request would keep a slot busy that is idle otherwise.
  bool wants_more() const;
  bool idle() const { return waiting_.empty() && running_.empty(); }
  /// Ends all requests with what there is; answers are FinishReason::kInterrupted.
  void cancel();

  std::int64_t slots() const;

 private:
  void begin_waiting();
  void collect_rows();
  bool can_launch() const;
  void launch();
  void land();
  void prepare(std::span<const float> logits);
  void deliver(std::span<const float> logits);
  void remove_done();
  void check_ids(std::span<const std::int32_t> ids) const;

  const Model& model_;
  const Tokenizer& tokenizer_;
  ThreadPool& pool_;
  std::vector<std::int32_t> end_ids_;
  Session session_;
  std::unique_ptr<Streams> streams_;
  std::vector<Sampler> samplers_;  // of each worker
  std::deque<std::shared_ptr<Task>> waiting_;
  std::vector<std::shared_ptr<Task>> running_;
  // One step's work.
  struct Chunk {
    Stream* stream = nullptr;
    std::int64_t first_wanted = 0;  // position
    std::int64_t wanted = 0;
  };
  std::vector<Row> rows_;
  std::vector<std::int32_t> wanted_;
  std::vector<Chunk> chunks_;
  /// Steps whose tokens the backend draws and the host does not know yet, the earliest first: who
  /// gets each token.
  struct Flight {
    struct Token {
      std::weak_ptr<Task> task;
      std::size_t draft = 0;
    };
    std::vector<Token> tokens;
  };
  std::deque<Flight> flights_;
  std::vector<DeviceDraw> draws_;
};

}  // namespace aira
