#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

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

/// Code points first..last that utf8proc holds unassigned: letters, numbers and, of class kOther,
/// marks. All are \w.
struct Addition {
  char32_t first;
  char32_t last;
  CharClass kind;
};

using Kind = CharClass;
constexpr Addition kAdditions[] = {
#include "text/unicode_additions.inc"
};

const Addition* find_addition(char32_t code) {
  const auto* at = std::lower_bound(std::begin(kAdditions), std::end(kAdditions), code,
                                    [](const Addition& one, char32_t c) { return one.last < c; });
  return at != std::end(kAdditions) && at->first <= code ? at : nullptr;
}

}  // namespace

CharClass char_class(char32_t code) {
  if ((code | 0x20) >= 'a' && (code | 0x20) <= 'z') return CharClass::kLetter;  // most of all text
  if (is_white_space(code)) return CharClass::kSpace;
  const int category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category == UTF8PROC_CATEGORY_CN) {
    const Addition* addition = find_addition(code);
    return addition == nullptr ? CharClass::kOther : addition->kind;
  }
  if (category <= UTF8PROC_CATEGORY_LO) return CharClass::kLetter;
  const bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
  return number ? CharClass::kNumber : CharClass::kOther;
}

int general_category(char32_t code) {
  const int category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  const Addition* addition = category == UTF8PROC_CATEGORY_CN ? find_addition(code) : nullptr;
  if (addition == nullptr) return category;
  if (addition->kind == CharClass::kLetter) return UTF8PROC_CATEGORY_LO;
  return addition->kind == CharClass::kNumber ? UTF8PROC_CATEGORY_ND : UTF8PROC_CATEGORY_MN;
}

bool is_word_char(char32_t code) {
  const int category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category == UTF8PROC_CATEGORY_CN) return find_addition(code) != nullptr;
  // Letters, marks, decimal digits and numbers written as letters come first.
  return category <= UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC || code == 0x200C ||
         code == 0x200D || is_alphabetic_symbol(code);
}

std::size_t space_begin(std::string_view text, std::size_t at, std::size_t limit) {
  for (std::size_t before = at; at > limit; at = before) {
    if (!is_space(previous_code_point(text, before))) break;
  }
  return at;
}

std::size_t space_end(std::string_view text, std::size_t at) {
  for (std::size_t next = at; at < text.size(); at = next) {
    if (!is_space(next_code_point(text, next))) break;
  }
  return at;
}

}  // namespace aira
