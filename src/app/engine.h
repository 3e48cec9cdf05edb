// Everything that answering needs, loaded in one go: files, tokenizer, backend, weights, generator.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aira/backend.h"
#include "aira/generate.h"
#include "aira/tokenizer.h"
#include "app/model_lookup.h"
#include "app/options.h"
#include "app/settings.h"
#include "app/start_clock.h"
#include "app/tokenizer_cache.h"
#include "model/weight_cache.h"

namespace aira {

/// find_model, with the line on stderr that says so when it falls back to the built-in model.
FoundModel find_model(const Options& options);
/// -t, else all usable cores.
int threads_of(const Options& options);
/// The backend that the options ask for.
std::unique_ptr<Backend> make_backend(const Options& options);
/// Says whether writing packed files at the end may go on: for a few seconds, unless interrupted.
std::function<bool()> patience();
/// Leaves packed weights for the next start. Never throws.
void keep_weights(const WeightCache& weights, const Model& model, const Options& options);

/// A loaded model. Members are in the order of loading; it stays where it was made.
class Engine {
 public:
  explicit Engine(const Options& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// All answers are given: leaves the packed weights for the next start.
  ~Engine();

  Generator& generator() { return generator_; }
  const std::string& name() const { return found_.name; }
  const Options& options() const { return options_; }

  /// The model's defaults changed by the command line's settings and then by `more`.
  Request request(const Settings& more = {}) const;
  /// Throws Error when the model cannot be asked questions and --raw was not given.
  void require_markers() const;
  /// The prompt of a question, or of a text with --raw.
  std::vector<std::int32_t> prompt(std::string_view text) const;
  /// Answer number `index` of a request; Ctrl-C gives FinishReason::kInterrupted.
  Answer answer(std::span<const std::int32_t> prompt, const Request& request, std::int64_t index,
                const std::function<void(std::string_view)>& on_text = {});
  /// The line of --stats, if it was asked for; the first time also what the start took.
  void print_stats(const Answer& answer, const Request& request) const;

 private:
  void print_start(const Answer& answer) const;

  const Options& options_;
  mutable StartClock clock_;  // mutable: print_stats empties it
  FoundModel found_;
  GenerationConfig generation_;
  std::unique_ptr<Backend> backend_;
  TokenizerCache tokens_;
  Tokenizer tokenizer_;
  WeightCache weights_;
  Model model_;
  Generator generator_;
};

}  // namespace aira
