// The regular expressions of tokenizer files: what matches where, and what is refused.
#include "text/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "aira/error.h"

namespace aira {
namespace {

/// `text` with each match in brackets.
std::string marked(const std::string& regex, const std::string& text) {
  const Pattern pattern(regex, "file");
  std::string out;
  std::size_t done = 0;
  for (const auto& [begin, end] : pattern.find_all(text)) {
    out += text.substr(done, begin - done) + "[" + text.substr(begin, end - begin) + "]";
    done = end;
  }
  return out + text.substr(done);
}

TEST(Pattern, Matches) {
  EXPECT_EQ(marked("ab|a", "abac"), "[ab][a]c");
  EXPECT_EQ(marked("a|ab", "abac"), "[a]b[a]c");
  EXPECT_EQ(marked("(?:ab)+c?", "ababcab"), "[ababc][ab]");
  EXPECT_EQ(marked("a{2}", "aaaaa"), "[aa][aa]a");
  EXPECT_EQ(marked("a{2,3}b", "aaaab"), "a[aaab]");
  EXPECT_EQ(marked("a{2,}", "a aa aaaa"), "a [aa] [aaaa]");
  EXPECT_EQ(marked("a+?b?", "aab"), "[a][ab]");
  EXPECT_EQ(marked("a+ab", "aaab"), "[aaab]");
  EXPECT_EQ(marked("a++ab", "aaab"), "aaab");
  EXPECT_EQ(marked("\\s+(?!\\S)|\\s", "a  b \n"), "a[ ][ ]b[ \n]");
  EXPECT_EQ(marked("a(?=\xC3\xA9)", "a\xC3\xA9 a"), "[a]\xC3\xA9 a");
  EXPECT_EQ(marked(".", "\xE6\x97\xA5\n"), "[\xE6\x97\xA5]\n");
}

TEST(Pattern, Letters) {
  EXPECT_EQ(marked("[^a-c\\s]", "a d\xC3\xA9"), "a [d][\xC3\xA9]");
  EXPECT_EQ(marked("[-a\\]]", "-b]a"), "[-]b[]][a]");
  EXPECT_EQ(marked("\\p{Lu}\\p{Ll}+", "OL\xC3\x81 Ol\xC3\xA1"), "OL\xC3\x81 [Ol\xC3\xA1]");
  EXPECT_EQ(marked("\\P{L}|\\p{^L}", "a1\xCC\x81"), "a[1][\xCC\x81]");
  EXPECT_EQ(marked("\\d+\\.\\D", "12.a 3.4"), "[12.a] 3.4");
  EXPECT_EQ(marked("\\w+", "a_1 \xE2\x80\x8D\xC2\xBD"), "[a_1] \xE2\x80\x8D[\xC2\xBD]");
  EXPECT_EQ(marked("\\W|[\\w]", "-\xC2\xBDz"), "[-]\xC2\xBD[z]");
  EXPECT_EQ(marked("[^\\W\\d]+", "a\xC2\xBDz1"), "[a]\xC2\xBD[z]1");
  EXPECT_EQ(marked("(?i:s\xC3\x89)s", "S\xC3\xA9s s\xC3\x89S \xC5\xBF\xC3\xA9s"),
            "[S\xC3\xA9s] s\xC3\x89S [\xC5\xBF\xC3\xA9s]");
}

TEST(Pattern, WhatItDoesNotKnowIsRefused) {
  for (const std::string regex : {"^a",
                                  "a$",
                                  "\\bword",
                                  "(?<=a)b",
                                  "(?<name>a)",
                                  "[[:alpha:]]",
                                  "[a&&b]",
                                  "a{,2}",
                                  "a{2}+",
                                  "a{2}?",
                                  "a**",
                                  "*a",
                                  "\\1",
                                  "\\x41",
                                  "\\h",
                                  "\\p{Han}",
                                  "\\p{",
                                  "(a",
                                  "a)",
                                  "[a",
                                  "[]",
                                  "[b-a]",
                                  "(?i)a",
                                  "a*",
                                  "",
                                  "a|",
                                  "(?=a)",
                                  "(?:a?)*b",
                                  "\\",
                                  "a{1001}",
                                  "(?:a{1000}){1000}"}) {
    try {
      const Pattern pattern(regex, "memory/tokenizer.json");
      ADD_FAILURE() << regex;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  testing::StartsWith("memory/tokenizer.json: the regular expression"));
    }
  }
  EXPECT_THROW(Pattern(std::string(100'000, '('), "file"), Error);
}

TEST(Pattern, NestedQuantifiersEnd) {
  EXPECT_THROW(marked("(?:a+)+b", std::string(100, 'a')), Error);
  const std::string text(300'000, 'a');
  EXPECT_EQ(marked("a+", text), "[" + text + "]");
}

}  // namespace
}  // namespace aira
