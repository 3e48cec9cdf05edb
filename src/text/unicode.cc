#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace aira {
namespace {

bool is_white_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

/// Circled and squared letters: symbols by category, Alphabetic by Other_Alphabetic (PropList.txt).
bool is_alphabetic_symbol(char32_t code) {
  return (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
         (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
}

const UnicodeAddition* find_addition(char32_t code) {
  const auto all = unicode_additions();
  const auto at = std::lower_bound(
      all.begin(), all.end(), code,
      [](const UnicodeAddition& addition, char32_t c) { return addition.last < c; });
  return at != all.end() && at->first <= code ? &*at : nullptr;
}

CharClass look_up(char32_t code) {
  if (is_white_space(code)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    case UTF8PROC_CATEGORY_CN: {
      const UnicodeAddition* addition = find_addition(code);
      if (addition == nullptr || addition->kind == UnicodeAddition::Kind::kMark) break;
      return addition->kind == UnicodeAddition::Kind::kLetter ? CharClass::kLetter
                                                              : CharClass::kNumber;
    }
    default:
      break;
  }
  return CharClass::kOther;
}

/// Almost all text lies below U+0800 (two bytes of UTF-8).
constexpr std::size_t kTableSize = 0x800;

std::array<CharClass, kTableSize> make_table() {
  std::array<CharClass, kTableSize> table{};
  for (std::size_t i = 0; i < kTableSize; ++i) table[i] = look_up(static_cast<char32_t>(i));
  return table;
}

}  // namespace

CharClass char_class(char32_t code) {
  static const std::array<CharClass, kTableSize> table = make_table();
  return code < kTableSize ? table[code] : look_up(code);
}

bool is_word_char(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    case UTF8PROC_CATEGORY_CN:
      return find_addition(code) != nullptr;
    default:
      return code == 0x200C || code == 0x200D || is_alphabetic_symbol(code);
  }
}

}  // namespace aira
