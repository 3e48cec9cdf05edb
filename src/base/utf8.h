// UTF-8 one letter at a time, and the one rule for invalid bytes: U+FFFD for each maximal subpart
// (Unicode 15, section 3.9, table 3-8; what Python's errors="replace" does). Encoding, decoding and
// streaming all go through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aira {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Kind : std::uint8_t {
  kLetter,      // a whole code point
  kBroken,      // bytes that can never become one
  kUnfinished,  // the text ends inside a code point
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kLetter;
  std::uint8_t length = 0;  // bytes, at least 1
  char32_t code = 0;        // of kLetter
};

/// What `text`, which is not empty, begins with.
Utf8Step utf8_step(std::string_view text);

/// The code point at `at` of valid UTF-8; moves `at` behind it.
char32_t next_code_point(std::string_view valid, std::size_t& at);

/// The code point that ends at `at` (> 0) of valid UTF-8; moves `at` to its first byte.
char32_t previous_code_point(std::string_view valid, std::size_t& at);

/// Appends the UTF-8 of `code`, which is no surrogate.
void append_utf8(char32_t code, std::string& out);

/// Appends whole letters and replacements to `out`; returns how many bytes of `bytes` that took.
/// What is left, at most 3 bytes, is an unfinished letter.
std::size_t append_whole_letters(std::string_view bytes, std::string& out);

/// The byte behind the first `count` letters of valid UTF-8, or its end.
std::size_t end_of_letters(std::string_view valid, std::size_t count);
std::size_t count_letters(std::string_view valid);

/// `bytes` with every invalid sequence replaced, an unfinished letter at the end included.
std::string valid_utf8(std::string_view bytes);

}  // namespace aira
