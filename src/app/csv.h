// Tables as RFC 4180 and spreadsheets write them: the questions of one column in, the same rows
// with their answers out. What the table holds is copied as it is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/line_reader.h"

namespace aira {

class CsvReader {
 public:
  /// Reads the header, whose most frequent of , ; and tab is the separator. Throws Error when there
  /// is none, or no such column in it.
  CsvReader(LineReader& lines, const std::string& column);

  /// The next row as it is written, without the end of its last line; the header first, nothing at
  /// the end. Throws Error when a quoted field has no end.
  std::optional<std::string> next();
  /// Of the row that next() returned last, from 1; the header is 0.
  std::int64_t number() const { return number_; }
  /// Its field in the column of the questions; empty when it has none.
  std::string question() const;
  /// Throws Error when the row has more fields than the header.
  void require_fit() const;
  /// The row with as many fields as the header.
  std::string fitted() const;

  /// The header with "answer", or "answer_1" and so on, and "error". Throws Error when it has such
  /// a column already.
  std::string header(std::int64_t answers) const;
  /// `row`, which is fitted, with these fields behind it.
  std::string with(std::string row, const std::vector<std::string>& fields) const;

 private:
  std::optional<std::string> read_row();
  void take(std::string_view text);
  std::string quoted(const std::string& field) const;

  LineReader& lines_;
  char separator_ = ',';
  bool all_quoted_ = false;      // the header's fields are
  const char* line_end_ = "\n";  // of the header
  std::string header_;
  std::vector<std::string> columns_;
  std::size_t column_ = 0;
  std::int64_t number_ = -1;
  std::string row_;
  std::vector<std::string> fields_;  // of the row
  bool in_quotes_ = false;           // at the end of what was taken
  bool after_quote_ = false;         // the last letter may have closed a field
};

}  // namespace aira
