// The lines of a file or of stdin, as they arrive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "app/input_text.h"
#include "base/mapped_file.h"

namespace aira {

/// Lines of a file or of stdin as they arrive, in UTF-8 or UTF-16, ended by LF or CRLF; the last
/// one may lack its end. Byte order marks are dropped.
class LineReader {
 public:
  /// Reads the file `path`; nothing and "-" are stdin. With '\0' for `end`, NUL ends a line in
  /// place of LF. Throws Error when the file cannot be opened.
  explicit LineReader(const std::optional<std::string>& path = {}, char end = '\n');

  /// The next line without its end; nothing at the end of the input and when interrupted. It may be
  /// no text: see check(). Of a line longer than 64 MiB nothing is returned but "". Throws Error
  /// when reading fails.
  std::optional<std::string> next();
  /// Throws Error when `line`, which next() returned last, is not UTF-8 or holds a NUL.
  void check(std::string_view line) const { check(line, number_); }
  /// Whether the line that next() returned last was too long, and an Error that says so.
  bool too_long() const { return too_long_; }
  void require_fit() const;
  /// All that is left, checked. Throws Error when reading fails.
  std::string rest();
  /// How much of a file has been returned, from 0 to 1; 0 for what has no size (a pipe).
  double fraction_read() const;
  /// The number of the line that next() returned last, from 1.
  std::int64_t number() const { return number_; }
  /// "line 3 of FILE", for messages.
  std::string place(std::int64_t number) const;
  /// Whether that line ended in CRLF.
  bool ended_by_crlf() const { return crlf_; }

 private:
  bool fill();
  bool find_end(std::size_t& end);
  void check(std::string_view text, std::int64_t first_number) const;

  std::string name_;  // for messages
  Descriptor file_;
  char end_;
  InputText format_;
  bool ended_ = false;
  std::int64_t size_ = 0;     // of a regular file, else 0
  std::int64_t read_ = 0;     // bytes read so far
  std::string pending_;       // read, but not returned
  std::size_t position_ = 0;  // what has been returned ends here
  std::int64_t number_ = 0;
  bool crlf_ = false;
  bool too_long_ = false;
};

}  // namespace aira
