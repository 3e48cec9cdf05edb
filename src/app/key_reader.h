// What a terminal sends, taken apart into letters, keys and pastes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace aira {

/// The most bytes of a question that the chat takes.
inline constexpr std::size_t kLongestQuestion = std::size_t{1} << 20;

struct Key {
  enum class Kind : std::uint8_t {
    kLetter,    // `letter`
    kBroken,    // bytes that are not UTF-8
    kNewLine,   // Alt-Enter
    kSequence,  // what follows ESC in `text`, whole: "[1;5D"
    kText,      // `text`: a paste (`pasted`), or many letters of one line at once
    kStopped,   // wait_readable was
    kEnd,       // of the input
  };
  Kind kind = Kind::kLetter;
  char32_t letter = 0;
  std::string text = {};
  bool pasted = false;
  bool sound = true;  // `text` was UTF-8 and is as it was
};

class KeyReader {
 public:
  /// Reads stdin. `redraw` is that of wait_readable.
  explicit KeyReader(void (*redraw)()) : redraw_(redraw) {}

  /// The next key. Of a paste that is too long, kLongestQuestion bytes and a few.
  Key next();
  /// Drops the rest of the line.
  void skip_line();

 private:
  bool fill();
  bool more_within(int milliseconds);
  Key escape();
  Key paste();
  Key many_letters(std::size_t length);

  void (*redraw_)();
  std::string bytes_;   // read from the terminal
  std::size_t at_ = 0;  // what has been used of them
  bool ended_ = false;
};

}  // namespace aira
