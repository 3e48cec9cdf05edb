// How far a long run over many lines has come: one line on stderr that is written over and over,
// only where stderr is a terminal that the answers do not go to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace aira {

class Progress {
 public:
  /// Shows nothing when `wanted` is false (--quiet) or there is no terminal for it.
  explicit Progress(bool wanted);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void line_done() { ++lines_; }
  void add_tokens(std::int64_t tokens) { tokens_ += tokens; }
  /// Writes the line, a few times a second at most. `fraction` of the input that is read; 0 when
  /// nobody knows how much there is.
  void show(double fraction);
  /// Takes the line away, before something else is written to stderr.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool on_;
  bool visible_ = false;
  std::int64_t lines_ = 0;
  std::int64_t tokens_ = 0;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
};

}  // namespace aira
