// The lines of a file or of stdin, as they arrive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/mapped_file.h"

namespace aira {

/// Lines of a file or of stdin as they arrive, ended by LF or CRLF; the last one may lack its end.
class LineReader {
 public:
  /// Reads the file `path`; nothing and "-" are stdin. Throws Error when it cannot be opened.
  explicit LineReader(const std::optional<std::string>& path = {});

  /// The next line without its end; nothing at the end of the input and when interrupted. Throws
  /// Error when reading fails or a line is longer than 64 MiB.
  std::optional<std::string> next();
  /// How much of a file has been returned, from 0 to 1; 0 for what has no size (a pipe).
  double fraction_read() const;
  /// The number of the line that next() returned last, from 1.
  std::int64_t number() const { return number_; }
  /// Whether that line ended in CRLF.
  bool ended_by_crlf() const { return crlf_; }

 private:
  bool fill();

  std::string name_;  // for messages
  Descriptor file_;
  bool ended_ = false;
  std::int64_t size_ = 0;     // of a regular file, else 0
  std::int64_t read_ = 0;     // bytes read so far
  std::string pending_;       // read, but not returned
  std::size_t position_ = 0;  // what has been returned ends here
  std::int64_t number_ = 0;
  bool crlf_ = false;
};

}  // namespace aira
