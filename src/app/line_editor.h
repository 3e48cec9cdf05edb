// The chat's line of input: libedit with a prompt and a history file on a terminal, plain lines
// without a prompt when stderr is none.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace aira {

class LineEditor {
 public:
  LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

  /// The next line, without its end; empty after Ctrl-C; nothing after Ctrl-D.
  std::optional<std::string> read();
  /// Keeps `line` for the arrow keys, in this session and the next.
  void remember(const std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aira
