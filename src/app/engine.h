// Everything that answering needs, loaded in one go: files, tokenizer, backend, weights, scheduler.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aira/generate.h"
#include "aira/tokenizer.h"
#include "app/model_lookup.h"
#include "app/options.h"
#include "app/settings.h"
#include "app/start_clock.h"
#include "model/backend.h"
#include "model/weight_cache.h"
#include "run/default_options.h"
#include "run/prompts.h"
#include "run/scheduler.h"

namespace aira {

/// find_model, with the line on stderr that says so when it falls back to the built-in model.
FoundModel find_model(const Options& options);
/// -t, else all usable cores.
int threads_of(const Options& options);
/// The backend that the options ask for.
std::unique_ptr<Backend> make_backend(const Options& options);
/// The same, begun at once on a thread of its own where a GPU is to be woken up, which takes a good
/// part of a second; else when it is asked for.
std::future<std::unique_ptr<Backend>> begin_backend(const Options& options);
/// Says whether writing packed files at the end may go on: for a few seconds, unless interrupted.
std::function<bool()> patience();

/// A loaded model. Members are in the order of loading; it stays where it was made.
class Engine {
 public:
  explicit Engine(const Options& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// All answers are given: leaves the packed weights for the next start.
  ~Engine();

  Scheduler& scheduler() { return scheduler_; }
  const Prompts& prompts() const { return prompts_; }
  const std::string& name() const { return found_.name; }
  const Options& options() const { return options_; }

  /// The model's defaults changed by the command line's settings and then by `more`.
  GenerateOptions generate_options(const Settings& more = {}) const;
  /// Throws Error when the model cannot be asked questions and --raw was not given.
  void require_markers() const;
  /// The prompt of a question, or of a text with --raw.
  std::vector<std::int32_t> prompt(std::string_view text) const;
  /// Answers and prints the answers to stdout while they are written, one after the other. After
  /// Ctrl-C the last one is FinishReason::kInterrupted, and those behind it are missing.
  std::vector<Answer> stream(std::vector<std::int32_t> prompt, const GenerateOptions& options);
  /// What stands before an answer: "Response 1: " with --numbered, else nothing.
  std::string numbering(std::size_t answer) const;
  /// The line of --stats, if it was asked for; the first time also what the start took.
  void print_stats(const Answer& answer, const GenerateOptions& options) const;

 private:
  void print_start(const Answer& answer) const;

  const Options& options_;
  mutable StartClock clock_;  // mutable: print_stats empties it
  std::future<std::unique_ptr<Backend>> coming_;
  FoundModel found_;
  GenerationConfig generation_;
  Tokenizer tokenizer_;
  std::unique_ptr<Backend> backend_;
  WeightCache weights_;
  Model model_;
  Prompts prompts_;
  Scheduler scheduler_;
};

}  // namespace aira
