// Where lines are broken, whatever the pieces that the text comes in.
#include "app/word_wrap.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/utf8.h"

namespace aira {
namespace {

/// The whole, after checking that pieces of `step` letters give the same.
std::string wrapped(std::string_view text, int columns) {
  WordWrap whole;
  std::string expected = whole.push(text, columns);
  expected += whole.finish();
  for (int step = 1; step < 5; ++step) {
    WordWrap wrap;
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      for (int i = 0; i < step && at < text.size(); ++i) next_code_point(text, at);
      out += wrap.push(text.substr(begin, at - begin), columns);
    }
    EXPECT_EQ(out + wrap.finish(), expected) << step;
  }
  return expected;
}

TEST(WordWrap, BreaksBetweenWords) {
  EXPECT_EQ(wrapped("A capital de Portugal é Lisboa, que fica à beira do Tejo.", 19),
            "A capital de\nPortugal é Lisboa,\nque fica à beira do\nTejo.");
  EXPECT_EQ(wrapped("ação são", 8), "ação são");
  EXPECT_EQ(wrapped("ação são", 7), "ação\nsão");
}

TEST(WordWrap, LeavesNoBlanksAtTheEndsOfLines) {
  EXPECT_EQ(wrapped("um   dois  \n  três \n\n quatro   ", 6), "um\ndois\n  três\n\n quatro");
  EXPECT_EQ(wrapped("   ", 6), "");
}

TEST(WordWrap, ALongWordIsLeftToTheTerminal) {
  EXPECT_EQ(wrapped("inconstitucionalissimamente um dois", 10),
            "inconstitucionalissimamente um\ndois");
  EXPECT_EQ(wrapped("o inconstitucionalissimamente", 10), "o\ninconstitucionalissimamente");
}

TEST(WordWrap, WideLettersTakeTwoColumnsAndMayBeParted) {
  EXPECT_EQ(wrapped("東京は日本の首都です", 7), "東京は\n日本の\n首都で\nす");
  EXPECT_EQ(wrapped("ver 東京", 8), "ver 東京");
  EXPECT_EQ(wrapped("ver 東京", 7), "ver 東\n京");
  EXPECT_EQ(wrapped("a\u0301e\u0301i\u0301 o\u0301", 5), "a\u0301e\u0301i\u0301 o\u0301");
}

TEST(WordWrap, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(wrapped("a\x1b[31mb\u009b1m\x7f", 80), "a\uFFFD[31mb\uFFFD1m\uFFFD");
  EXPECT_EQ(wrapped("um\r\ndois\tx", 80), "um\ndois\tx");
  EXPECT_EQ(wrapped("a\tbb", 9), "a\nbb");
}

TEST(WordWrap, PrintsWhatIsKnownToFit) {
  WordWrap wrap;
  EXPECT_EQ(wrap.push("Lis", 11), "Lis");  // the first word stays where it is
  EXPECT_EQ(wrap.push("boa ", 11), "boa");
  EXPECT_EQ(wrap.push("é ", 11), " é");
  EXPECT_EQ(wrap.push("ma", 11), "");
  EXPECT_EQ(wrap.push("r", 11), "\nmar");
  EXPECT_EQ(wrap.finish(), "");
}

TEST(WordWrap, FollowsTheWindow) {
  WordWrap wrap;
  std::string out = wrap.push("um dois três ", 80);
  out += wrap.push("quatro cinco ", 20);  // the cursor is in column 12
  out += wrap.push("seis ", 5);
  out += wrap.push("sete oito ", 0);  // unknown: no breaks
  EXPECT_EQ(out + wrap.finish(), "um dois três quatro\ncinco\nseis sete oito");
}

}  // namespace
}  // namespace aira
