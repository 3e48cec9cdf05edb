// The bounds of parse_json and the sentences of JsonObject.
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "model_fixtures.h"

namespace aira {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(ParseJson, ReadsWhatIsValid) {
  EXPECT_EQ(parse_json(R"({"a": [1, -2.5, "\u00e9", null], "b": {"a": true}})", "f")["a"][2], "é");
  EXPECT_EQ(parse_json(repeated("[", 32) + repeated("]", 32), "f").size(), 1U);
}

// Long texts are repeated by the test itself: every process of the test program makes the table.
struct Refused {
  std::string text;
  const char* cause;
  int times = 1;
};

void PrintTo(const Refused& one, std::ostream* out) { *out << one.times << " x " << one.text; }

class RefusedJson : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedJson, IsExplained) {
  const std::string text = repeated(GetParam().text, GetParam().times);
  EXPECT_THAT(error_of([&] { parse_json(text, "dir/f.json"); }),
              AllOf(StartsWith("dir/f.json "), HasSubstr(GetParam().cause), EndsWith(".")));
}

const Refused kRefused[] = {
    {"", "not valid JSON (byte 1)"},
    {"{\"a\": 1,\n \"b\" 2}", "not valid JSON (line 2, byte 6)"},
    {"{} x", "not valid JSON"},
    {"{\"a\": NaN}", "not valid JSON"},
    {"{\"a\": 'x'}", "not valid JSON"},
    {"[1,]", "not valid JSON"},
    {"\"\\ud800\"", "not valid JSON"},
    {std::string("{\0}", 3), "not valid JSON"},
    {std::string("{}\0 more", 8), "not valid JSON (byte 3)"},
    {"\"a\nb\"", "not valid JSON"},
    {"\"\xff\"", "not valid UTF-8 (byte 2)"},
    {"\"\xc0\xaf\"", "not valid UTF-8"},
    {"[1e999]", "too large for a double"},
    {R"({"a": 1, "b": 2, "a": 3})", "has \"a\" twice"},
    {R"({"x": [{"b": 1, "b": 1}]})", "has \"b\" twice"},
    {"[", "nested deeper than 32", 33},
    {"[", "nested deeper than 32", 1000000},
    {"{\"a\":", "nested deeper than 32", 1000000},
};
INSTANTIATE_TEST_SUITE_P(All, RefusedJson, ::testing::ValuesIn(kRefused));

TEST(ParsePythonJson, TakesWhatPythonWrites) {
  const auto root = parse_python_json(
      R"({"a": NaN, "b": [-Infinity, Infinity, -1], "c": "NaN \" Infinity \\", "a": 2, "\"NaN": 3})",
      "f");
  EXPECT_EQ(root.dump(),
            R"({"\"NaN":3,"a":2,"b":["-Infinity","Infinity",-1],"c":"NaN \" Infinity \\"})");
  EXPECT_EQ(parse_python_json("NaN", "f"), "NaN");
}

TEST(ParsePythonJson, RefusesTheRest) {
  const std::pair<const char*, const char*> cases[] = {
      {"\xEF\xBB\xBF{}", "f begins with a byte order mark"},
      {"{\"a\": nan}", "not valid JSON (byte 8)"},
      {"{\"a\": -NaN}", "not valid JSON"},
      {"{\"a\": NaNNaN}", "not valid JSON"},
      {"{\"a\": \"\\", "not valid JSON"},
      {"\\", "not valid JSON"},
      {"", "not valid JSON"},
  };
  for (const auto& [text, cause] : cases) {
    EXPECT_THAT(error_of([&] { parse_python_json(text, "f"); }),
                AllOf(HasSubstr(cause), EndsWith(".")));
  }
}

// Whatever a caller reads itself is empty in the result, and places in messages stay right.
TEST(ParseJson, LeavesContentToACaller) {
  const std::string text = "{\"a\": {\"b\": {not json}, \"c\": [[1]]},\n \"b\": {\"x\": 1}}";
  std::vector<std::string> seen;
  const auto read = [&](const std::vector<std::string>& path, std::size_t at) {
    if (path != std::vector<std::string>{"a", "b"}) return at;
    seen.push_back(text.substr(at, 8));
    return at + 8;
  };
  EXPECT_EQ(parse_json(text, "f", read).dump(), R"({"a":{"b":{},"c":[[1]]},"b":{"x":1}})");
  EXPECT_THAT(seen, ::testing::ElementsAre("not json"));
  EXPECT_THAT(error_of([&] { parse_json(text + "x", "f", read); }), HasSubstr("line 2, byte 16"));
}

TEST(ParseJson, RefusesTooManyValues) {
  EXPECT_THAT(error_of([] { parse_json("[" + repeated("1,", 4000000) + "1]", "dir/f.json"); }),
              AllOf(StartsWith("dir/f.json "), HasSubstr("too many JSON values"), EndsWith(".")));
}

TEST(JsonObject, ReadsTypedValues) {
  const auto root =
      parse_json(R"({"i": -3, "n": 2, "t": "x", "b": false, "l": [1, 2], "z": null})", "f");
  const JsonObject object(root, "f");
  EXPECT_EQ(object.integer("i", {-3, 3}), -3);
  EXPECT_EQ(object.number("n", {0, 2, ""}), 2.0);
  EXPECT_EQ(object.text("t"), "x");
  EXPECT_EQ(object.boolean("b"), false);
  EXPECT_THAT(object.integers("l", {1, 2}), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(object.integers("n", {1, 2}), ::testing::ElementsAre(2));
  EXPECT_FALSE(object.integer("z", {0, 1}).has_value());
  EXPECT_FALSE(object.integer("gone", {0, 1}).has_value());
  EXPECT_TRUE(object.integers("z", {0, 1}).empty());
  object.refuse_null("gone");
}

TEST(JsonObject, NamesKeyExpectedAndFound) {
  const auto root = parse_json(
      R"({"i": 4, "f": 1.5, "big": 18446744073709551615, "t": "long", "b": 1, "l": [1, "x"],
          "o": {}, "z": null})",
      "f");
  const JsonObject object(root, "f");
  const IntegerRange small = {0, 3};
  const std::pair<std::function<void()>, const char*> cases[] = {
      {[&] { object.integer("i", small); },
       R"(f: "i" must be a whole number from 0 to 3, but is 4.)"},
      {[&] { object.integer("f", small); }, "but is 1.5."},
      {[&] {
         object.integer("big", {0, INT64_MAX});
       },
       "but is 18446744073709551615."},
      {[&] { object.integer("t", small); }, R"(but is "long".)"},
      {[&] { object.integer("o", small); }, "but is an object."},
      {[&] { object.integer("l", small); }, "but is a list."},
      {[&] { object.integers("l", small); }, R"(or a list of such, but is "x".)"},
      {[&] { object.integers("t", small); }, R"(or a list of such, but is "long".)"},
      {[&] {
         object.number("t", {0, 1, "a share"});
       },
       R"("t" must be a share, but is "long".)"},
      {[&] {
         object.number("f", {0, 1, "a share"});
       },
       "but is 1.5."},
      {[&] { object.boolean("b"); }, "must be true or false, but is 1."},
      {[&] { object.text("b"); }, "must be a string, but is 1."},
      {[&] { object.refuse_null("z"); }, R"("z" must be set, but is null.)"},
      {[&] { JsonObject(root["l"], "f"); }, "f must be a JSON object, but is a list."},
  };
  for (const auto& [action, sentence] : cases) EXPECT_THAT(error_of(action), HasSubstr(sentence));
}

}  // namespace
}  // namespace aira
