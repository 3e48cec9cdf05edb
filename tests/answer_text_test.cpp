// AnswerText: letters split over tokens, white space, stop texts that straddle tokens.
#include "run/answer_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace aira {
namespace {

struct Case {
  std::vector<std::string> pieces;
  std::vector<std::string> stops;
  std::string text;
  bool stopped = false;
};

const Case kCases[] = {
    {{}, {}, ""},
    {{"a"}, {}, "a"},
    {{" \n", " A capi", "tal", " \n", "x ", "\t"}, {}, "A capital \nx"},
    {{" ", "\n", " "}, {}, ""},
    {{"Bras\xC3", "\xAD", "lia"}, {}, "Brasília"},
    {{"a\xC3"}, {}, "a\xEF\xBF\xBD"},  // never completed
    {{"a\xFF", "b"},
     {},
     "a\xEF\xBF\xBD"
     "b"},  // never a letter
    {{"one.", " two"}, {"."}, "one", true},
    {{"ab", "cd", "ef"}, {"bcde"}, "a", true},  // over three tokens
    {{"ab", "cd", "xf"}, {"bcde"}, "abcdxf"},   // begins like a stop, is none
    {{"aab"}, {"ab"}, "a", true},
    {{"aa", "b"}, {"aab"}, "", true},
    {{"a", "a", "a", "b"}, {"aab"}, "a", true},  // the held part slides
    {{"x", " ", "#", " y"}, {"#"}, "x", true},   // white space before a stop
    {{"x<|endof", "completion|>y"}, {"<|endofcompletion|>"}, "x", true},
    {{"one two three"}, {"three", "two"}, "one", true},  // the earliest, not the first listed
    {{"\n", "text"}, {"\n"}, "", true},
    {{"caf\xC3", "\xA9!"}, {"é"}, "caf", true},
};

TEST(AnswerText, PiecesJoinToTheText) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::PrintToString(c.pieces));
    AnswerText answer(c.stops);
    std::string streamed;
    for (const std::string& piece : c.pieces) streamed += answer.push(piece);
    EXPECT_EQ(answer.stopped(), c.stopped);
    streamed += answer.finish();
    EXPECT_EQ(streamed, c.text);
    EXPECT_EQ(answer.text(), c.text);
  }
}

TEST(AnswerText, LetsGoOfWhatIsCertain) {
  AnswerText answer({"END"});
  EXPECT_EQ(answer.push(" Ol"), "Ol");
  EXPECT_EQ(answer.push("\xC3"), "");
  EXPECT_EQ(answer.push("\xA1 "), "á");
  EXPECT_EQ(answer.push("E"), "");  // might become the stop text
  EXPECT_EQ(answer.push("u"), " Eu");
  EXPECT_EQ(answer.finish(), "");
}

TEST(AnswerText, KeepsWhiteSpaceWhenAsked) {
  for (const Case& c : kCases) {
    std::string whole;
    for (const std::string& piece : c.pieces) whole += piece;
    AnswerText answer({}, true);
    for (const std::string& piece : c.pieces) answer.push(piece);
    answer.finish();
    Utf8Stream letters;
    const std::string valid = letters.push(whole);
    EXPECT_EQ(answer.text(), valid + letters.finish());
  }
  AnswerText stopped({"#"}, true);
  EXPECT_EQ(stopped.push("\n x \t# y"), "\n x \t");
}

}  // namespace
}  // namespace aira
