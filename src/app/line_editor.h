// The line of input of the chat.
#pragma once

#include <histedit.h>

#include <optional>
#include <string>

#include "app/line_reader.h"

namespace aira {

/// libedit with a prompt and a history file on a terminal, plain lines without a prompt when stderr
/// is none. There may be one at a time.
class LineEditor {
 public:
  LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

  /// The next line, without its end; empty after Ctrl-C; nothing after Ctrl-D. The arrow keys bring
  /// it back, in this session and the next.
  std::optional<std::string> read();

 private:
  std::optional<std::string> edited();

  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  HistEvent event_ = {};
  std::string file_;  // of the history; empty: none
  LineReader plain_;
};

}  // namespace aira
