// All that the program writes. stdout carries answers only, through one checked function; stderr
// takes everything else.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "aira/error.h"

namespace aira {

/// The reader of stdout has gone (`| head -1`): the program ends quietly.
class ClosedReader : public std::exception {
 public:
  const char* what() const noexcept override { return "The reader of stdout is gone."; }
};

/// stdout cannot be written to (a full disk). Not an Error: it ends the program, not one line.
class WriteFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Writes all of `text` to stdout, unbuffered. Throws ClosedReader or WriteFailed.
void print(std::string_view text);

/// "aira-cli: SENTENCE" and "aira-cli: error: SENTENCE" on stderr.
void note(std::string_view sentence);
void report_error(std::string_view sentence);
/// `text` alone on stderr.
void print_aside(std::string_view text);

/// `text` with every line break (those of Unicode and Python's splitlines) as one space.
std::string one_line(std::string_view text);

/// Whether colours may be used on stderr: a terminal that is not dumb, and no NO_COLOR.
bool colours();

/// Does `work`; the Error that it throws, if any. For input that must not end the program: one line
/// of many, one turn of a chat.
std::optional<Error> problem_in(const std::function<void()>& work);

/// One line on stderr, overwritten again and again, that shows how far a run over many lines has
/// got; only where stderr is a terminal and stdout is not.
class Progress {
 public:
  /// Shows nothing when `wanted` is false (--quiet).
  explicit Progress(bool wanted);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add_tokens(std::size_t tokens) { tokens_ += tokens; }
  /// Counts a line and updates the display a few times a second. `fraction` of the input has been
  /// answered; 0 when its length is unknown.
  void line_done(double fraction);
  /// Removes the line before something else is written to stderr.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool on_;
  bool visible_ = false;
  std::size_t lines_ = 0;
  std::size_t tokens_ = 0;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
};

}  // namespace aira
