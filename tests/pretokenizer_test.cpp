// GPT-2's pre-tokenisation: pieces of hand-picked texts. (Whole texts against the real library:
// tokenizer_golden_test.cpp.)
#include "text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace aira {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces(const std::string& text) {
  Pieces out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = piece_length(rest);
    if (length == 0 || length > rest.size()) return {"no progress"};
    out.emplace_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  return out;
}

struct Case {
  const char* name;
  std::string text;
  Pieces expected;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Pretokenizer : public testing::TestWithParam<Case> {};

TEST_P(Pretokenizer, Cuts) { EXPECT_EQ(pieces(GetParam().text), GetParam().expected); }

const std::string kNel = "\xC2\x85";            // U+0085, white space
const std::string kMongolian = "\xE1\xA0\x8E";  // U+180E, not white space since Unicode 6.3
const std::string kAcute = "\xCC\x81";          // U+0301, a mark: neither letter nor number

INSTANTIATE_TEST_SUITE_P(
    Texts, Pretokenizer,
    testing::Values(
        Case{"empty", "", {}}, Case{"words", "Ol\xC3\xA1 mundo", {"Ol\xC3\xA1", " mundo"}},
        Case{"contractions", "it's we're I'LL", {"it", "'s", " we", "'re", " I", "'", "LL"}},
        Case{"contraction_after_space", "a 's", {"a", " '", "s"}},
        Case{"contraction_in_symbols", "!'s", {"!'", "s"}},
        Case{"contraction_prefix", "'sa'v'd've", {"'s", "a", "'", "v", "'d", "'ve"}},
        Case{"numbers", "a1984 1\xC2\xBD", {"a", "1984", " 1\xC2\xBD"}},
        Case{"space_runs", "a   b", {"a", "  ", " b"}}, Case{"space_at_end", "a   ", {"a", "   "}},
        Case{"only_spaces", "   ", {"   "}},
        Case{"newlines", "a\n\nb\n", {"a", "\n", "\n", "b", "\n"}},
        Case{"newline_space", "a\n b", {"a", "\n", " b"}},
        Case{"tab_before_word", "\tb", {"\t", "b"}},
        Case{"unicode_space", "a" + kNel + "b" + kMongolian, {"a", kNel, "b", kMongolian}},
        Case{"two_spaces_of_two_kinds", " " + kNel + "b", {" ", kNel, "b"}},
        Case{"combining", "e" + kAcute + "a", {"e", kAcute, "a"}},
        Case{"space_and_combining", " " + kAcute, {" " + kAcute}},
        Case{"symbols", "<|end|> ?!", {"<|", "end", "|>", " ?!"}},
        Case{"space_at_very_end", "a ", {"a", " "}}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace aira
