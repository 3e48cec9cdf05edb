// The Unicode classes of all 1,112,064 code points, as the regular expressions inside `tokenizers`
// have them (tests/data/tokenizer/classes.txt, made by tools/goldens/unicode.py).
#include "text/unicode.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tokenizer_test_files.h"

namespace aira {
namespace {

CharClass class_of(char name) {
  switch (name) {
    case 'L':
      return CharClass::kLetter;
    case 'N':
      return CharClass::kNumber;
    case 'S':
      return CharClass::kSpace;
    default:
      return CharClass::kOther;
  }
}

TEST(Unicode, EveryCodePointHasTheClassThatTokenizersGivesIt) {
  std::ifstream file(data_path("classes.txt"));
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::string name;
  std::uint32_t checked = 0;
  std::uint32_t wrong = 0;
  while (file >> std::hex >> first >> last >> name) {
    const bool word = name.ends_with('w');
    for (std::uint32_t code = first; code <= last; ++code, ++checked) {
      if (char_class(code) == class_of(name[0]) && is_word_char(code) == word) continue;
      if (++wrong <= 10) ADD_FAILURE() << std::hex << "U+" << code << " should be " << name;
    }
  }
  EXPECT_EQ(checked, 0x110000U - 0x800U);
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace aira
