#include "app/csv.h"

#include <algorithm>
#include <array>

#include "aira/error.h"
#include "app/interrupt.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::size_t kLongestRow = std::size_t{64} << 20U;

std::string joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + quote(name);
  return list;
}

/// The most frequent separator outside quotes.
char separator_of(std::string_view header) {
  constexpr std::array<char, 3> kSeparators = {',', ';', '\t'};
  std::array<int, 3> counts{};
  bool in_quotes = false;
  for (const char letter : header) {
    in_quotes = in_quotes != (letter == '"');
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (!in_quotes && letter == kSeparators[i]) ++counts[i];
    }
  }
  return kSeparators[static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) -
                                              counts.begin())];
}

}  // namespace

CsvReader::CsvReader(LineReader& lines, const std::string& column) : lines_(lines) {
  const std::optional<std::string> header = read_row();
  if (!header)
    throw Error("[E170] The table is empty; --csv needs a header with the columns' names.");
  header_ = *header;
  columns_ = fields_;
  all_quoted_ = header_.starts_with('"');
  if (lines_.ended_by_crlf()) line_end_ = "\r\n";
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) {
    throw Error("[E171] The table has no column {}; it has {}.", {quote(column), joined(columns_)});
  }
  column_ = static_cast<std::size_t>(found - columns_.begin());
}

/// Adds `text` to the fields of the row.
void CsvReader::take(std::string_view text) {
  for (const char letter : text) {
    std::string& field = fields_.back();
    if (in_quotes_) {
      in_quotes_ = letter != '"';
      after_quote_ = !in_quotes_;
      if (in_quotes_) field += letter;
    } else if (letter == '"' && after_quote_) {  // two of them are a quote in the field
      field += letter;
      in_quotes_ = true;
      after_quote_ = false;
    } else if (letter == separator_) {
      fields_.emplace_back();
      after_quote_ = false;
    } else if (letter == '"' && field.empty()) {
      in_quotes_ = true;
    } else {
      field += letter;
      after_quote_ = false;
    }
  }
}

std::optional<std::string> CsvReader::read_row() {
  std::optional<std::string> line = lines_.next();
  if (!line) return std::nullopt;
  const std::int64_t first = lines_.number();
  if (number_ < 0) separator_ = separator_of(*line);
  row_ = *line;
  fields_.assign(1, "");
  in_quotes_ = after_quote_ = false;
  take(*line);
  while (in_quotes_) {
    const std::string end = lines_.ended_by_crlf() ? "\r\n" : "\n";
    line = lines_.next();
    if (!line || lines_.too_long() || row_.size() > kLongestRow) {
      if (!line && interrupted()) return std::nullopt;
      throw Error("[E172] The quoted field that begins in line {} of the table has no end.",
                  {std::to_string(first)});
    }
    row_.append(end).append(*line);
    take(end);
    take(*line);
  }
  return row_;
}

std::optional<std::string> CsvReader::next() {
  std::optional<std::string> row = number_ < 0 ? header_ : read_row();
  if (row) ++number_;
  return row;
}

std::string CsvReader::question() const {
  return column_ < fields_.size() ? fields_[column_] : std::string();
}

void CsvReader::require_fit() const {
  if (fields_.size() <= columns_.size()) return;
  throw Error(
      "[E173] The row has {} fields and the header {}; a field that holds the separator goes "
      "between quotes.",
      {std::to_string(fields_.size()), std::to_string(columns_.size())});
}

std::string CsvReader::fitted() const {
  if (fields_.size() <= columns_.size()) {
    return row_ + std::string(columns_.size() - fields_.size(), separator_);
  }
  const std::vector<std::string> kept(
      fields_.begin() + 1, fields_.begin() + static_cast<std::ptrdiff_t>(columns_.size()));
  std::string row = with(quoted(fields_.front()), kept);
  row.resize(row.size() - std::string_view(line_end_).size());
  return row;
}

std::string CsvReader::header(std::int64_t answers) const {
  std::vector<std::string> added;
  for (std::int64_t i = 1; i <= answers; ++i) {
    added.push_back(answers == 1 ? "answer" : "answer_" + std::to_string(i));
  }
  added.emplace_back("error");
  for (const std::string& name : added) {
    if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) continue;
    throw Error("[E174] The table has a column {} already; rename it.", {quote(name)});
  }
  return with(header_, added);
}

std::string CsvReader::quoted(const std::string& field) const {
  const std::string special = std::string("\"\r\n") + separator_;
  if (!all_quoted_ && field.find_first_of(special) == std::string::npos) return field;
  std::string text = "\"";
  for (const char letter : field) text.append(letter == '"' ? 2 : 1, letter);
  return text + "\"";
}

std::string CsvReader::with(std::string row, const std::vector<std::string>& fields) const {
  for (const std::string& field : fields) row.append(1, separator_).append(quoted(field));
  return row + line_end_;
}

}  // namespace aira
