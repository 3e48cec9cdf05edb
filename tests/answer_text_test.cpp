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
    {{"a\xC3"}, {"\xEF\xBF\xBD"}, "a"},
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

// transformers' StopStringCriteria: the stop text ends in the last token, and may begin anywhere.
TEST(Completes, LooksAtTheLastTokenAndBack) {
  const std::vector<std::string> texts = {"sto", "pped", "s", "topper", "a", "", "\xC3", "\xA9"};
  const auto bytes_of = [&](std::int32_t id) { return texts[static_cast<std::size_t>(id)]; };
  const auto stops = [&](const std::vector<std::string>& stop, std::vector<std::int32_t> ids) {
    const std::int32_t last = ids.back();
    ids.pop_back();
    return completes(stop, ids, last, bytes_of);
  };
  EXPECT_TRUE(stops({"stop"}, {4, 0, 1}));  // text goes on behind the stop text
  EXPECT_TRUE(stops({"stop"}, {2, 3}));
  EXPECT_TRUE(stops({"stopped"}, {0, 5, 1})) << "a token without text";
  EXPECT_TRUE(stops({"xyz", "per"}, {4, 3}));
  EXPECT_TRUE(stops({"é"}, {4, 6, 7}));
  EXPECT_FALSE(stops({"é"}, {4, 6}));
  EXPECT_FALSE(stops({"stop"}, {0, 1, 4})) << "it was complete before";
  EXPECT_FALSE(stops({"stop"}, {0, 1, 5}));
  EXPECT_FALSE(stops({"stops"}, {0, 1}));
  EXPECT_FALSE(stops({}, {0, 1}));
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
