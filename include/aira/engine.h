// The engine: a loaded model that answers and scores, many requests at once.
//
//   Engine engine({.files = ModelFiles::from_folder("Aira-2-portuguese-124M")});
//   Ticket ticket = engine.submit(
//       GenerateRequest{engine.prompts().question("Qual a capital do Brasil?"), engine.defaults()},
//       {.text = [](std::size_t, std::string_view piece) { std::cout << piece; }});
//   ticket.wait();
//
// An Engine owns one thread, which alone touches the model, the KV cache and the pool of compute
// threads; everything here may be called from any thread. It prints nothing.
#pragma once

#include <variant>

#include "aira/device.h"
#include "aira/error.h"
#include "aira/generate.h"
#include "aira/model_files.h"
#include "aira/prompts.h"
#include "aira/tokenizer.h"

namespace aira {

class Task;

struct EngineOptions {
  ModelFiles files;
  Device device = Device::kAuto;
  DType dtype = DType::kF16;        // how weights are stored while running: kF32, kF16 or kI8
  int threads = 0;                  // CPU threads; 0 = one per usable physical core
  std::int64_t max_sequences = 32;  // computed at once; memory for them is taken at the start
  /// How many answers are expected; 0: unknown. kAuto leaves a GPU alone for a few of a small
  /// model, which the CPU gives before the GPU has started.
  std::int64_t expected_answers = 0;
  /// Where converted weights are kept between runs (cache_folder()); empty: nowhere.
  std::string cache_folder = {};
  /// How many requests may wait, for try_submit() and before submit() blocks; 0: as many as there
  /// are sequences.
  std::int64_t max_waiting = 0;
  /// Receives a sentence about something that did not stop the engine, such as a GPU that cannot be
  /// used. Called by the constructor, and by the thread that writes the cache.
  std::function<void(const std::string& sentence)> notice = {};
};

/// Answers to a prompt.
struct GenerateRequest {
  std::vector<std::int32_t> prompt;  // token ids, at least one
  GenerateOptions options;
  /// Answer::text keeps the white space around it: prompt and answer together are the text.
  bool keep_space = false;
  /// The answer is the most probable of these texts, and nothing is drawn. White space around them
  /// does not count, before them a blank may stand, and the end of the answer after them counts;
  /// with keep_space the text goes on exactly so, ended or not.
  std::vector<std::string> candidates = {};
};

/// The log-likelihood of `ids` from position `first` on, each given those before it.
struct ScoreRequest {
  std::vector<std::int32_t> ids;
  std::int64_t first = 1;  // at least 1
  /// Score a text longer than the context in windows, as lm-evaluation-harness's
  /// loglikelihood_rolling does, instead of refusing it; only with first = 1.
  bool rolling = false;
  std::int64_t logprobs = -1;  // also Score::top, with this many tokens each; -1 = no
};

using Request = std::variant<GenerateRequest, ScoreRequest>;

/// What becomes of a request. Callbacks run inside Ticket::wait() and Ticket::poll(), on the thread
/// that calls these: a slow listener delays no other request. What a callback throws leaves wait()
/// or poll(); the ticket may be waited for again.
struct Listener {
  /// A piece of the text of answer number `answer`, whole characters only. Answers to one request
  /// interleave. Not called for beams and for the best of several.
  std::function<void(std::size_t answer, std::string_view piece)> text = {};
  /// A token, before the text that it completes, with probabilities as far as
  /// GenerateOptions::logprobs asked for them. Not called for beams.
  std::function<void(std::size_t answer, const Choice& token)> token = {};
  /// An answer is complete. Answers come in order of their number, 0 first. After a cancel, the
  /// first incomplete one comes as FinishReason::kInterrupted and no others follow.
  std::function<void(std::size_t answer, const Answer& result)> finished = {};
  std::function<void(const Score& score)> scored = {};
  /// There will be no (more) results, for this reason.
  std::function<void(const Error& error)> failed = {};
  /// The request has left the queue.
  std::function<void()> begun = {};
  /// Callbacks are due: poll() has something to do. For a caller that must not wait; called on the
  /// engine's thread, which it must not hold up, and may throw nothing.
  std::function<void()> due = {};
};

/// A submitted request. Copies refer to the same request; dropping them all does not cancel it.
class Ticket {
 public:
  /// Runs the listener's callbacks until the request is over.
  void wait() const;
  /// Runs the callbacks that are due without waiting; true once the request is over.
  bool poll() const;

 private:
  friend class Engine;
  explicit Ticket(std::shared_ptr<Task> task) : task_(std::move(task)) {}
  std::shared_ptr<Task> task_;
};

/// What an engine runs on, for people.
struct EngineInfo {
  std::string backend;           // e.g. "cpu (avx512, 2 threads)"
  std::string gpu;               // its PCI bus id; empty: the CPU computes
  std::string cache_file;        // where converted weights are kept; empty: nowhere
  bool cached = false;           // the weights came from there
  double tokenizer_seconds = 0;  // time to load it
  double weights_seconds = 0;
  std::int64_t context = 0;     // tokens of prompt and answer together
  std::int64_t vocabulary = 0;  // ids that the model knows
};

class Engine {
 public:
  /// Loads the model. Throws Error.
  explicit Engine(EngineOptions options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// Cancels whatever has not finished.
  ~Engine();

  const Tokenizer& tokenizer() const;
  const Prompts& prompts() const;
  /// What the model's folder asks for (tools/docs/generation.md).
  const GenerateOptions& defaults() const;
  const EngineInfo& info() const;

  /// Queues a request. Blocks while as many requests wait as the engine has sequences. Throws Error
  /// or UsageError when the request can never be done: the prompt does not fit the context, an
  /// option is out of range, an id is not in the vocabulary, more beams than sequences.
  Ticket submit(Request request, Listener listener = {});
  /// The same, but nothing instead of blocking.
  std::optional<Ticket> try_submit(Request request, Listener listener = {});

  /// Ends a request with what there is; its answers finish as FinishReason::kInterrupted.
  void cancel(const Ticket& ticket);
  /// The same for every request so far.
  void cancel_all();
  /// Blocks until every request so far is over.
  void drain();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aira
