// All that the program writes. stdout carries answers only, through one checked function; stderr
// takes everything else.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "aira/error.h"

namespace aira {

/// stdout cannot be written to: EPIPE when its reader has gone (`| head -1`), else a full disk or
/// the like. Not an Error: it ends the program, not one line.
class WriteFailed : public std::system_error {
 public:
  using std::system_error::system_error;
};

/// Writes all of `text` to stdout, unbuffered. Throws WriteFailed.
void print(std::string_view text);
/// Prints `value` on one line, also for readers that break lines where Unicode does.
void print_json(const nlohmann::ordered_json& value);

/// "aira-cli: SENTENCE" on stderr.
void note(std::string_view sentence);
/// "aira-cli: error: [E017] SENTENCE" on stderr, after `where` ("line 3: ").
void report_error(const Error& error, std::string_view where = {}, bool with_fields = false);
/// `text` alone on stderr.
void print_aside(std::string_view text);

/// `text` with every line break (those of Unicode and Python's splitlines) as one space.
std::string one_line(std::string_view text);

/// What printf would write, up to 255 bytes.
template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

/// "WHAT failed: " and the meaning of errno.
Error failure(const std::string& what);

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

  /// Speed counts from here.
  void start() { started_ = shown_ = Clock::now(); }
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
