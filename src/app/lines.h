// What all commands that read lines share: a loop over them. The calling thread reads lines and
// submits them, a second one prints the answers in the same order, each as soon as it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "aira/engine.h"
#include "app/command_line.h"
#include "app/line_reader.h"
#include "app/output.h"
#include "base/json.h"

namespace aira {

/// Waits for a line's answer and prints it, on the printing thread. Throws Error when the line
/// fails.
using PrintAnswer = std::function<void()>;

class LineLoop {
 public:
  using Begin = std::function<PrintAnswer(const std::string& line)>;
  using BeginJson =
      std::function<PrintAnswer(const nlohmann::json& line, nlohmann::ordered_json& result)>;

  /// Over the lines of -f.
  explicit LineLoop(const CommonOptions& options)
      : lines_(options.file, options.line_end), progress_(!options.quiet) {}

  /// Calls `begin` for each line, and in order what it returned, which prints up to `answers` lines
  /// by print_line(); a line that fails is reported on stderr, and empty lines take the place of
  /// missing ones. `engine` (null: none) computes up to `sequences` at once. Returns the exit code:
  /// kInterrupted after Ctrl-C, when incomplete answers are dropped. If the input cannot be read to
  /// its end or is no text, answers what came before, then throws Error.
  int run(Engine* engine, std::int64_t sequences, std::int64_t answers, const Begin& begin);
  /// The same for JSON lines. Prints the line's "id", if any, the model's name, and what `begin`
  /// and the function that it returned have added to `result`; or {"id", "line", "error": {"code",
  /// "message"}}. Blank lines are skipped.
  int run_json(const std::string& model, Engine* engine, std::int64_t sequences,
               const BeginJson& begin);

  // For the printing thread.
  void print_line(const std::string& text);
  Progress& progress() { return progress_; }

 private:
  bool each_line(Engine* engine, std::int64_t sequences, const Begin& begin);

  LineReader lines_;
  Progress progress_;
  std::int64_t printed_ = 0;  // lines in place of the current one
};

}  // namespace aira
