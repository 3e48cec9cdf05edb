// The line of input of the chat.
#pragma once

#include <histedit.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aira/error.h"
#include "app/key_reader.h"
#include "app/line_reader.h"
#include "app/question_history.h"

namespace aira {

/// libedit with a prompt on a terminal: stderr, so that stdout carries answers only (`| tee
/// answers`), else the one that stdin is (`2>/dev/null`). Without a terminal to draw on, plain
/// lines. There may be one at a time. The terminal neither echoes nor breaks up what is typed or
/// pasted while an answer is written, until the destructor gives it back as it was.
class LineEditor {
 public:
  /// Gets a line up to the cursor; returns what its last word may become.
  using Complete = std::function<std::vector<std::string>(std::string_view line)>;

  explicit LineEditor(Complete complete);
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

  /// The next question without its end, with line breaks if it was pasted or typed so; empty after
  /// Ctrl-C and when it was refused; nothing after Ctrl-D. The arrow keys bring it back, in this
  /// session and the next.
  std::optional<std::string> read();
  /// A question that came another way: shows it, and keeps it for the arrow keys.
  void add(const std::string& question);
  /// Writes where the lines are edited, even if stderr goes elsewhere.
  void print(std::string_view text);
  /// Writes an error to stderr, and where it can be seen.
  void report(const Error& error);
  /// Does `work` with the terminal as other programs expect it.
  void suspend(const std::function<void()>& work);

 private:
  static LineEditor& of(EditLine* editor);
  static int read_letter(EditLine* editor, wchar_t* letter);
  static unsigned char insert_text(EditLine* editor, int key);
  static unsigned char insert_new_line(EditLine* editor, int key);
  static unsigned char complete(EditLine* editor, int key);
  static void redraw();
  void bind_keys();
  void prepare(bool raw);
  std::optional<std::string> edited();
  wchar_t meaning(const Key& key);
  wchar_t meaning_of_letter(char32_t letter);
  wchar_t meaning_of_sequence(const std::string& sequence);
  std::size_t room() const;
  wchar_t refuse(bool goes_on);

  Complete complete_;
  LineReader plain_;
  KeyReader keys_{redraw};
  std::FILE* screen_ = nullptr;  // what is drawn on; null: nothing
  std::unique_ptr<QuestionHistory> history_;
  EditLine* editor_ = nullptr;
  std::wstring queue_;     // of letters for libedit
  std::string text_;       // for insert_text
  bool too_long_ = false;  // the current line
  bool broken_ = false;    // something in it was not UTF-8
};

/// The UTF-8 of these letters.
std::string utf8_of(std::wstring_view letters);

}  // namespace aira
