// Lines of text broken between words instead of anywhere, while the text is still being written.
#pragma once

#include <string>
#include <string_view>

namespace aira {

/// A word is held back until it is known to fit the line. Columns are those of the terminal: wide
/// letters (East Asian, emoji) take two, and a line may be broken beside them. What is longer than
/// a line is left to the terminal. Control characters, which would move its cursor, become U+FFFD.
class WordWrap {
 public:
  /// Takes whole letters; what of them, and of what was held back, can be printed on a terminal
  /// that is `columns` wide now.
  std::string push(std::string_view text, int columns);
  /// The end of the text: what is held back, less white space.
  std::string finish();

 private:
  void take(std::string_view letter, char32_t code);
  void break_line();
  void end_word();

  int columns_ = 0;
  int column_ = 0;          // where the cursor is, without what is held back
  bool first_word_ = true;  // of its line: it stays there, however long it gets
  std::string out_;         // to be returned
  std::string blanks_;      // held back, before the word
  int blanks_width_ = 0;
  std::string word_;
  int word_width_ = 0;
};

}  // namespace aira
