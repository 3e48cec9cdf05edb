// The Unicode classes that GPT-2's pre-tokenisation and added tokens need, code point by code point
// as the regular expressions inside `tokenizers` see them: utf8proc's general categories, plus
// what was assigned after its tables were made (unicode_additions.inc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace aira {

enum class CharClass : std::uint8_t {
  kOther,
  kLetter,  // \p{L}
  kNumber,  // \p{N}
  kSpace,   // \s: White_Space
};

CharClass char_class(char32_t code);

/// The general category, a utf8proc_category_t.
int general_category(char32_t code);

inline bool is_space(char32_t code) { return char_class(code) == CharClass::kSpace; }

/// Python's str.isspace.
inline bool is_python_space(char32_t code) {
  return is_space(code) || (code >= 0x1C && code <= 0x1F);
}

/// \w: Alphabetic, marks, decimal digits, connector punctuation, joiners (Unicode TS 18, annex C).
bool is_word_char(char32_t code);

/// Where the white space that ends at byte `at` of valid UTF-8 begins, not before `limit`.
std::size_t space_begin(std::string_view text, std::size_t at, std::size_t limit);
/// Where the white space that begins at `at` ends.
std::size_t space_end(std::string_view text, std::size_t at);

}  // namespace aira
