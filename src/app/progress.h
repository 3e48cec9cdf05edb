// How far a run over many lines has got, on stderr: one line that is overwritten again and again
// where stderr is a terminal and stdout is not, or JSON objects for programs; and its summary.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "app/command_line.h"
#include "app/status_line.h"

namespace aira {

class Progress {
 public:
  explicit Progress(const CommonOptions& options);

  /// Speed counts from here. `fraction` of the input was answered before.
  void start(double fraction);
  void add_tokens(std::size_t tokens) { tokens_ += static_cast<std::int64_t>(tokens); }
  /// Counts a line that was answered before this run.
  void line_was_done(bool failed);
  /// Counts a line and updates the display from time to time. `fraction` of the input has been
  /// answered; 0 when its length is unknown.
  void line_done(bool failed, double fraction);
  /// Removes the line before something else is written to stderr.
  void clear() { status_.clear(); }
  /// The last display; `whole`: the input was answered to its end. A summary stands in the place of
  /// the line, and in any case beside -o.
  void end(bool whole);

  /// Lines, with those of former runs.
  std::int64_t done() const { return done_; }
  std::int64_t failed() const { return failed_; }

 private:
  using Clock = std::chrono::steady_clock;

  void show();
  void print_object(const char* state);

  bool quiet_;
  bool json_;
  bool to_file_;
  bool line_;
  std::int64_t total_ = 0;  // lines of the input; 0 = unknown
  StatusLine status_;
  bool shown_once_ = false;
  std::int64_t done_ = 0;
  std::int64_t failed_ = 0;
  std::int64_t tokens_ = 0;
  double first_fraction_ = 0;
  double fraction_ = 0;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
};

}  // namespace aira
