// A table for people: columns as wide as what is in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/output.h"
#include "base/utf8.h"

namespace aira {

class Table {
 public:
  /// The numbers of columns in `right` end in one line, the others begin in one.
  explicit Table(std::vector<std::string> head, std::set<std::size_t> right = {})
      : right_(std::move(right)) {
    rows_.push_back(std::move(head));
  }

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// But for its head.
  bool empty() const { return rows_.size() == 1; }

  /// Lines; none of an empty table.
  std::string text() const {
    std::string text;
    if (empty()) return text;
    for (const std::vector<std::string>& row : rows_) {
      std::string line;
      for (std::size_t column = 0; column < row.size(); ++column) {
        int width = 0;
        for (const auto& one : rows_) {
          width = std::max(width, static_cast<int>(count_letters(one[column])));
        }
        line += (column == 0 ? "" : "  ") +
                padded(row[column], right_.count(column) != 0 ? -width : width);
      }
      text += line.erase(line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::set<std::size_t> right_;
};

}  // namespace aira
