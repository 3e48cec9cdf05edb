// The questions asked before, in this session and in earlier ones.
#pragma once

#include <histedit.h>

#include <string>

namespace aira {

/// The last thousand lines, kept in a file that all chats of a user share: none loses what another
/// has added.
class QuestionHistory {
 public:
  /// Loads the file.
  QuestionHistory();
  QuestionHistory(const QuestionHistory&) = delete;
  QuestionHistory& operator=(const QuestionHistory&) = delete;
  ~QuestionHistory() { ::history_end(lines_); }

  /// For libedit: what the file held at the start, and what was added since.
  History* lines() const { return lines_; }
  /// Adds a line, at once also to the file: a closed terminal window must not cost it.
  void add(const std::string& line);

 private:
  std::string file_;  // empty: none
  History* lines_;
};

}  // namespace aira
