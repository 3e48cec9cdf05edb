// What all commands that read lines share: a loop over them. The calling thread reads lines and
// submits them, a second one writes the answers in the same order, each as soon as it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "aira/engine.h"
#include "app/command_line.h"
#include "app/csv.h"
#include "app/line_queue.h"
#include "app/line_reader.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/run_file.h"
#include "base/json.h"

namespace aira {

struct FoundModel;
class JsonText;

class LineLoop {
 public:
  using Begin = std::function<PrintAnswer(const std::string& line)>;
  using BeginJson = std::function<PrintAnswer(const nlohmann::json& line, JsonText& result)>;

  /// Over the lines of -f, or of a table. Throws Error when they cannot be read.
  explicit LineLoop(const CommonOptions& options);

  /// Opens the file of -o, if any, for a run with this model. Throws Error.
  void open_output(const FoundModel& model);

  /// Calls `begin` for each line (with --csv: the question in a row), and in order what it
  /// returned, which prints up to `answers` lines by print_line(); a line that fails is reported on
  /// stderr, or in its row, and empty lines take the place of missing ones. `engine` (null: none)
  /// computes up to `sequences` at once. Returns the exit code: kInterrupted after Ctrl-C, when
  /// incomplete answers are dropped. If the input cannot be read to its end or is no text, answers
  /// what came before, then throws Error.
  int run(Engine* engine, std::int64_t sequences, std::int64_t answers, const Begin& begin);
  /// The same for JSON lines. Prints the line's "id", if any, the model's name, and what `begin`
  /// and the function that it returned have added to `result`; or {"id", "line", "error": {"code",
  /// "message"}}. Blank lines are skipped.
  int run_json(const std::string& model, Engine* engine, std::int64_t sequences,
               const BeginJson& begin);

  // For the reading thread.
  /// What comes of the line that begins may be so many tokens, with `logprobs` alternatives each
  /// (-1: none); it takes memory until it is printed.
  void expect(std::int64_t tokens, std::int64_t logprobs);

  // For the printing thread.
  /// One answer; its line breaks become blanks, except in a table.
  void print_line(const std::string& text);
  Progress& progress() { return progress_; }

 private:
  struct Line {
    RunEntry entry;
    std::string text;
    std::string written;  // for it by the former run
  };
  std::optional<std::string> next_line();
  std::optional<Line> next_line_to_do(bool former);
  void write(const std::string& text);
  void close_record(RunEntry entry, double fraction);
  int each_line(Engine* engine, std::int64_t sequences, const Begin& begin);
  void pass(Engine* engine, std::int64_t sequences, const Begin& begin, bool again);
  void go_on(Engine* engine, std::int64_t sequences, const Begin& begin);
  void ask_failed_lines_again(Engine* engine, std::int64_t sequences, const Begin& begin);
  int report_failed_lines(int code) const;

  const CommonOptions& options_;
  const bool terminal_;  // stdout is one
  LineReader lines_;
  std::optional<CsvReader> table_;
  Progress progress_;
  std::int64_t number_ = 0;          // of the line that next_line() returned
  std::size_t expected_ = 0;         // bytes that it and what comes of it take
  std::optional<RunReader> former_;  // of --resume
  std::optional<RunWriter> file_;    // of -o

  // Of the line that is being printed.
  std::string record_;                // for file_
  std::vector<std::string> answers_;  // for table_
  std::int64_t printed_ = 0;
  bool failed_ = false;

  std::int64_t records_ = 0;  // written in this run
  std::int64_t errors_ = 0;   // lines that failed in it
  bool too_many_errors_ = false;
};

}  // namespace aira
