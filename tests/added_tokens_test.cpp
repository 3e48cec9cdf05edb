// Cutting a text at its added tokens: search order, flags, and what they do to each other.
// (The same against the real library: tokenizer_golden_test.cpp.)
#include "text/added_tokens.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace aira {
namespace {

AddedToken token(const std::string& content, std::int32_t id) {
  AddedToken out;
  out.content = content;
  out.id = id;
  return out;
}

/// Segments as text: "abc" for text, "<7>" for id 7.
std::string cut(const std::vector<AddedToken>& tokens, std::string_view text, bool plain = false) {
  std::string out;
  const auto add = [&out](const Segment& segment) {
    if (!out.empty()) out += ",";
    if (segment.id < 0) {
      out += segment.text;
    } else {
      out.append("<").append(std::to_string(segment.id)).append(">");
    }
  };
  const AddedTokens added(tokens);
  const std::vector<std::string_view> typed(plain ? 1 : 0, text);
  for (const Segment& segment : added.split(text, false, typed)) {
    if (segment.id >= 0) {
      add(segment);
    } else {
      for (const Segment& finer : added.split(segment.text, true, typed)) add(finer);
    }
  }
  return out;
}

TEST(AddedTokens, None) {
  EXPECT_EQ(cut({}, "abc"), "abc");
  EXPECT_EQ(cut({}, ""), "");
  EXPECT_EQ(cut({token("x", 1)}, ""), "");
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {token("ab", 1), token("abcd", 2), token("bc", 3),
                                          token("\xC3\xA9", 4)};
  EXPECT_EQ(cut(tokens, "ab"), "<1>");
  EXPECT_EQ(cut(tokens, "abc"), "<1>,c");
  EXPECT_EQ(cut(tokens, "abcd"), "<2>");
  EXPECT_EQ(cut(tokens, "xbcabcdabc"), "x,<3>,<2>,<1>,c");
  EXPECT_EQ(cut(tokens, "\xC3\xA9\xC3\xA8\xC3\xA9"), "<4>,\xC3\xA8,<4>");
}

TEST(AddedTokens, SpecialOnesAreTextWhenPlain) {
  std::vector<AddedToken> tokens = {token("<s>", 1), token("s", 2)};
  tokens[0].special = true;
  EXPECT_EQ(cut(tokens, "a<s>s"), "a,<1>,<2>");
  // The special token is found, then left alone: nothing inside it is looked for.
  EXPECT_EQ(cut(tokens, "a<s>s", true), "a<s>,<2>");
}

TEST(AddedTokens, NormalizedOnesComeSecond) {
  std::vector<AddedToken> tokens = {token("abc", 1), token("bcd", 2)};
  tokens[0].normalized = true;
  EXPECT_EQ(cut(tokens, "abcd abc"), "a,<2>, ,<1>");
}

TEST(AddedTokens, SingleWord) {
  std::vector<AddedToken> tokens = {token("w", 1)};
  tokens[0].single_word = true;
  EXPECT_EQ(cut(tokens, "w"), "<1>");
  EXPECT_EQ(cut(tokens, "(w) w"), "(,<1>,) ,<1>");
  for (const std::string neighbour : {"a", "1", "_", "\xC3\xA9", "\xCC\x81", "\xE2\x80\x8D"}) {
    EXPECT_EQ(cut(tokens, neighbour + "w"), neighbour + "w");
    EXPECT_EQ(cut(tokens, "w" + neighbour), "w" + neighbour);
  }
}

TEST(AddedTokens, StripTakesWhiteSpaceAlong) {
  std::vector<AddedToken> tokens = {token("L", 1), token("R", 2)};
  tokens[0].lstrip = true;
  tokens[1].rstrip = true;
  EXPECT_EQ(cut(tokens, "a \t\xC2\x85L b"), "a,<1>, b");
  EXPECT_EQ(cut(tokens, "a R \n b"), "a ,<2>,b");
  EXPECT_EQ(cut(tokens, "R  L"), "<2>,<1>");
  EXPECT_EQ(cut(tokens, " L R "), "<1>, ,<2>");
  EXPECT_EQ(cut(tokens, "  "), "  ");
}

// tokenizers' own order of search lets a token reach back into white space that is taken already.
TEST(AddedTokens, TokensOfWhiteSpaceBehindRstrip) {
  std::vector<AddedToken> tokens = {token("R", 1), token("  ", 2), token(" ", 3)};
  tokens[0].rstrip = true;
  tokens[2].rstrip = true;
  EXPECT_EQ(cut(tokens, "R  a"), "<1>,<2>,a");
  EXPECT_EQ(cut(tokens, "R   a"), "<1>,<2>,<3>,a");
  EXPECT_EQ(cut(tokens, "R  \na"), "<1>,<2>,\na");
}

TEST(AddedTokens, NothingLeftOfAToken) {
  std::vector<AddedToken> tokens = {token("R", 1), token("\n\n", 2)};
  tokens[0].rstrip = true;
  tokens[1].lstrip = true;
  EXPECT_EQ(cut(tokens, "R\n\na"), "<1>,a");
  EXPECT_EQ(cut(tokens, "R\n\n a"), "<1>,a");
  EXPECT_EQ(cut(tokens, "R.\n\na"), "<1>,.,<2>,a");
}

TEST(AddedTokens, LongTextsOfWhiteSpaceTokensStayLinear) {
  std::vector<AddedToken> tokens = {token(" ", 1)};
  tokens[0].rstrip = true;
  const std::string text(300'000, ' ');
  EXPECT_EQ(AddedTokens(tokens).split(text, false, {}).size(), text.size());
  tokens[0].lstrip = true;
  EXPECT_EQ(AddedTokens(tokens).split(text, false, {}).size(), 1U);
}

}  // namespace
}  // namespace aira
