// Lines of a file or of stdin as they come, ended by LF or CRLF; the last one may lack its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace aira {

class LineReader {
 public:
  /// Reads the file `path`; "-" is stdin. Throws Error when it cannot be opened.
  explicit LineReader(const std::string& path);
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  ~LineReader();

  /// The next line without its end; nothing at the end of the input or after Ctrl-C. Throws Error
  /// when reading fails or a line is longer than 64 MiB.
  std::optional<std::string> next();
  /// The number of the line that next() gave last, from 1.
  std::int64_t number() const { return number_; }

 private:
  bool fill();

  std::string name_;  // for messages
  int fd_;
  bool ended_ = false;
  std::string pending_;       // read, but not given out
  std::size_t position_ = 0;  // what is given out ends here
  std::int64_t number_ = 0;
};

}  // namespace aira
