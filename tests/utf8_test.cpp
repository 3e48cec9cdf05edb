// UTF-8: what becomes U+FFFD (Unicode 15, tables 3-8 to 3-11), and that a stream gives the same
// text however its bytes are cut.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "aira/tokenizer.h"

namespace aira {
namespace {

/// Bytes, and the same with R for each U+FFFD.
struct Case {
  std::string bytes;
  std::string expected;
};

std::string with_replacements(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == 'R') {
      out += kReplacement;
    } else {
      out += letter;
    }
  }
  return out;
}

const std::vector<Case>& cases() {
  using namespace std::string_literals;
  static const std::vector<Case> all = {
      {"", ""},
      {"a\0b"s, "a\0b"s},
      {"ol\xC3\xA1 \xE2\x82\xAC \xF0\x9F\x98\x80", "ol\xC3\xA1 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", "\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80"},
      {"\x80\xBF", "RR"},
      {"\xC0\x80\xC1\xBF", "RRRR"},                           // overlong
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "RRRRRRRRA"},  // table 3-8
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "RRRRRRRRA"},  // surrogates, table 3-9
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "RRRRRARRB"},  // table 3-10
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "RRRRA"},      // truncated, table 3-11
      {"\xF5\x80\x80\x80\xFE\xFF", "RRRRRR"},
      {"\xC3", "R"},
      {"\xE2\x82", "R"},
      {"\xF0\x9F\x98", "R"},
      {"a\xC3(", "aR("},
      {"\xC3\xC3\xA9", "R\xC3\xA9"},
      {"12345678\xC3\xA9"
       "12345678\xFF"
       "1234567",
       "12345678\xC3\xA9"
       "12345678R1234567"},
  };
  return all;
}

class Utf8Text : public testing::TestWithParam<Case> {};

TEST_P(Utf8Text, HasEachMaximalSubpartReplaced) {
  EXPECT_EQ(valid_utf8(GetParam().bytes), with_replacements(GetParam().expected));
}

TEST(Utf8, WalksBothWays) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  const std::vector<char32_t> codes = {'a', 0xE9, 0x20AC, 0x1F600};
  std::size_t at = 0;
  for (const char32_t code : codes) {
    EXPECT_EQ(next_code_point(text, at), code);
    std::size_t before = at;
    EXPECT_EQ(previous_code_point(text, before), code);
    EXPECT_EQ(next_code_point(text, before), code);
    EXPECT_EQ(before, at);
  }
  EXPECT_EQ(at, text.size());
}

TEST_P(Utf8Text, StreamsTheSameHoweverItIsCut) {
  const std::string& bytes = GetParam().bytes;
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      Utf8Stream stream;
      std::string text = stream.push(bytes.substr(0, first));
      text += stream.push(bytes.substr(first, second - first));
      text += stream.push(bytes.substr(second));
      EXPECT_EQ(text + stream.finish(), with_replacements(GetParam().expected));
      EXPECT_EQ(stream.finish(), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Utf8Text, testing::ValuesIn(cases()));

TEST(Utf8Stream, HoldsBackOnlyWhatMayStillBecomeALetter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("n\xC3"), "n");
  EXPECT_EQ(stream.push("\xA3o"), "\xC3\xA3o");
  EXPECT_EQ(stream.push("\xF0\x9F"), "");
  EXPECT_EQ(stream.push("\x98"), "");
  EXPECT_EQ(stream.push("\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.push("\xED\xA0"), with_replacements("RR"));  // a surrogate: never a letter
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.push("x"), with_replacements("Rx"));
}

}  // namespace
}  // namespace aira
