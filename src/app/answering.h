// What the ways of asking share: the engine that the command line describes, and answers printed
// as they are written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aira/engine.h"
#include "app/command_line.h"
#include "app/model_lookup.h"

namespace aira {

/// The model of -m, or the one that find_model falls back to, with a line on stderr for that.
FoundModel find_model(const CommonOptions& options);
/// -t, else all usable cores.
int threads_of(const CommonOptions& options);
/// Writes to stderr; nothing with --quiet.
std::function<void(const std::string&)> notice_of(const CommonOptions& options);
EngineOptions engine_options(const CommonOptions& options, const FoundModel& model,
                             std::int64_t max_sequences);
/// Lines that may be at work or wait for an earlier one.
std::size_t line_window(std::int64_t max_sequences);

struct AskOptions : CommonOptions {
  std::optional<std::string> question;
  std::optional<std::string> file;  // "-" is stdin
  RequestChanges request;
  std::int64_t batch = 32;  // maximum number of concurrent sequences
  bool raw = false;
  bool history = false;
  bool numbered = false;
  bool jsonl = false;
  bool stats = false;
};

int run_one_shot(const AskOptions& options);
int run_chat(const AskOptions& options);
int run_pipe(const AskOptions& options);
int run_json_lines(const AskOptions& options);

class Answering {
 public:
  /// Throws Error when the model cannot be asked questions and --raw was not given; `any_prompt`:
  /// requests bring prompts of their own.
  explicit Answering(const AskOptions& options, bool any_prompt = false);

  const AskOptions& options() const { return options_; }
  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  const std::string& model_name() const { return model_.name; }
  std::size_t line_window() const { return aira::line_window(max_sequences_); }

  /// The prompt of a question, or of a text with --raw.
  std::vector<std::int32_t> prompt(std::string_view text) const;
  /// Answers and prints the answers while they are written, one after the other. After Ctrl-C the
  /// last one is FinishReason::kInterrupted, and those after it are missing.
  std::vector<Answer> stream(std::vector<std::int32_t> prompt, const GenerateOptions& options);
  /// "Response 1: " with --numbered, else nothing.
  std::string numbering(std::size_t answer) const;
  /// The lines of --stats; with the first answer also a line about the start.
  void print_stats(const Answer& answer, std::uint64_t seed);

 private:
  const AskOptions& options_;
  double program_seconds_;  // processor time before the model was looked for
  FoundModel model_;
  std::int64_t max_sequences_;
  Engine engine_;
  bool start_printed_ = false;
};

}  // namespace aira
