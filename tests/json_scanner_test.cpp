// The pull reader of large JSON files: strings, numbers, skipping, and refusals.
#include "text/json_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "aira/error.h"

namespace aira {
namespace {

const std::string kWhere = "file.json";

std::string read_string(const std::string& text) {
  JsonScanner scanner(text, kWhere);
  std::string value(scanner.string());
  scanner.finish();
  return value;
}

std::optional<std::int64_t> read_integer(const std::string& text) {
  return JsonScanner(text, kWhere).integer();
}

TEST(JsonScanner, Strings) {
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
                                         "\"\xED\xA0\x80\"", "\"\\n\xFF\"", "\"a\" b"));

TEST(JsonScanner, Integers) {
  EXPECT_EQ(read_integer("0"), 0);
  EXPECT_EQ(read_integer(" -12,"), -12);
  EXPECT_EQ(read_integer("9223372036854775807"), INT64_MAX);
  for (const char* text : {"9223372036854775808", "1.0", "1e3", "01", "-01", "-", "+1", "null",
                           "\"1\"", "[1]", "{}", "0x1"}) {
    EXPECT_EQ(read_integer(text), std::nullopt) << text;
  }
}

TEST(JsonScanner, SkipsAnyValue) {
  const std::string text = R"({"a": [1, {"]": "}\"]"}], "b": "x\\", "c": -1e5 , "d": null})";
  JsonScanner scanner(text, kWhere);
  std::vector<std::string> values;
  scanner.object([&](std::string_view) { values.emplace_back(scanner.skip()); });
  scanner.finish();
  EXPECT_THAT(values, testing::ElementsAre(R"([1, {"]": "}\"]"}])", R"("x\\")", "-1e5", "null"));
}

class BrokenStructure : public testing::TestWithParam<const char*> {};

TEST_P(BrokenStructure, Throws) {
  const std::string text = GetParam();
  JsonScanner scanner(text, kWhere);
  EXPECT_THROW(
      {
        scanner.object([&](std::string_view) { scanner.skip(); });
        scanner.finish();
      },
      Error);
}

INSTANTIATE_TEST_SUITE_P(All, BrokenStructure,
                         testing::Values("", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
                                         "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{\"a\":,}",
                                         "{\"a\":[}", "{\"a\":[[]}", "{\"a\":\"}", "{\"a\":1}}",
                                         "{\"a\":1]", "[]"));

TEST(JsonScanner, SaysWhere) {
  const std::string text = "{\"a\": 1,\n \"b\" 2}";
  JsonScanner scanner(text, kWhere);
  try {
    scanner.object([&](std::string_view) { scanner.skip(); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "file.json is not valid JSON of its kind (line 2, byte 6).");
  }
}

}  // namespace
}  // namespace aira
