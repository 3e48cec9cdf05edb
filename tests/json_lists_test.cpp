// The reader of a tokenizer's long JSON lists: strings, ids, and refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "aira/error.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

/// Reads {"token": id, ...} without its opening brace.
TokenList read(const std::string& text) {
  std::size_t at = 0;
  TokenList list = read_tokens(text, at, "file.json");
  EXPECT_EQ(text.substr(at), "}");
  return list;
}

std::string read_string(const std::string& text) {
  return std::string(read(text + ": 0}").tokens[0]);
}

std::optional<std::int64_t> read_integer(const std::string& text) {
  try {
    return read("\"a\" :" + text + "}").ids.at(0);
  } catch (const Error&) {
    return std::nullopt;
  }
}

TEST(JsonLists, Strings) {
  EXPECT_EQ(read_string(" \"\" "), "");
  EXPECT_EQ(read_string(R"("a\"\\\/\b\f\n\r\t")"), "a\"\\/\b\f\n\r\t");
  EXPECT_EQ(read_string(R"("\u0041\u00e9\u20AC\ud83d\uDE00\u0000")"),
            std::string("A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0", 11));
  EXPECT_EQ(read_string("\"\xC4\xA0the\""), "\xC4\xA0the");
}

class RefusedString : public testing::TestWithParam<const char*> {};

TEST_P(RefusedString, Throws) { EXPECT_THROW(read_string(GetParam()), Error); }

INSTANTIATE_TEST_SUITE_P(All, RefusedString,
                         testing::Values("", "a", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x\"",
                                         "\"\\u12\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\\ud800\"",
                                         "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
                                         "\"a\nb\"", "\"\x01\"", "\"\xFF\"", "\"\xC3\"",
                                         "\"\xED\xA0\x80\"", "\"\\n\xFF\"", "\"a\" b",
                                         "\"\\ud800 \\udc00\""));

TEST(JsonLists, Integers) {
  EXPECT_EQ(read_integer("0"), 0);
  EXPECT_EQ(read_integer(" -12 "), -12);
  EXPECT_EQ(read_integer("9223372036854775807"), INT64_MAX);
  for (const char* text : {"9223372036854775808", "1.0", "1e3", "1E3", "01", "-01", "-", "+1",
                           "null", "\"1\"", "[1]", "{}", "0x1", "", "1 2"}) {
    EXPECT_EQ(read_integer(text), std::nullopt) << text;
  }
}

class BrokenStructure : public testing::TestWithParam<const char*> {};

TEST_P(BrokenStructure, Throws) {
  std::size_t at = 0;
  EXPECT_THROW(read_tokens(GetParam(), at, "file.json"), Error);
}

INSTANTIATE_TEST_SUITE_P(All, BrokenStructure,
                         testing::Values("", "\"a\"", "\"a\":", "\"a\":1", "\"a\":1,", "\"a\":1,}",
                                         "\"a\" 1}", "a:1}", "\"a\":,}", "\"a\":1]", ",}",
                                         "\"a\":1 \"b\":2}"));

TEST(JsonLists, SaysWhere) {
  const std::string text = "{\"a\": 1,\n \"b\" 2}";
  try {
    std::size_t at = 1;
    read_tokens(text, at, "file.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "file.json is not valid JSON of its kind (line 2, byte 6).");
  }
}

}  // namespace
}  // namespace aira
