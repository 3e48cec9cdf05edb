// One line on stderr that is overwritten again and again, for a terminal.
#pragma once

#include <cstdint>
#include <string>

namespace aira {

class StatusLine {
 public:
  StatusLine() = default;
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// As much of `text` as the terminal is wide.
  void show(std::string text);
  /// Removes the line before something else is written to stderr.
  void clear();

 private:
  std::size_t visible_ = 0;  // columns of the line that is shown
};

/// "1:02:03" or "02:03".
std::string clock_time(double seconds);
/// "498.0 MB"; units are powers of 1000.
std::string size_text(std::int64_t bytes);

}  // namespace aira
