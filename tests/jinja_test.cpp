// Chat templates beside transformers' apply_chat_template (tools/goldens/chat_templates.py), what
// is refused by name, and what came from whom.
#include "text/jinja.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "aira/error.h"

namespace aira::jinja {
namespace {

using nlohmann::json;

Dict variables(const json& messages, const json& tokens) {
  List list;
  for (const json& message : messages) {
    list.push_back(
        new_dict({{U"role", {text_of(message["role"].get<std::string>())}},
                  {U"content", {text_of(message["content"].get<std::string>(), true)}}}));
  }
  Dict all = {{U"messages", new_list(std::move(list))},
              {U"add_generation_prompt", {true}},
              {U"tools", {None{}}},
              {U"documents", {None{}}}};
  for (const auto& [name, token] : tokens.items()) {
    all.emplace_back(text_of(name), Value{text_of(token.get<std::string>())});
  }
  return all;
}

/// The text, or the error's sentence.
std::string rendered(const std::string& source, const json& messages = json::array(),
                     const json& tokens = json::object()) {
  try {
    return utf8_of(render(parse(source), variables(messages, tokens)));
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Jinja, RendersAsTransformersDoes) {
  std::ifstream file(AIRA_TEST_DATA "/chat_templates.json");
  const json cases = json::parse(file);
  EXPECT_GT(cases.size(), 60U);
  for (const json& one : cases) {
    SCOPED_TRACE(one["name"].get<std::string>());
    const std::string text =
        rendered(one["template"].get<std::string>(), one["messages"], one["tokens"]);
    if (one.contains("unsupported")) {
      EXPECT_THAT(text, testing::AllOf(testing::HasSubstr(one["unsupported"].get<std::string>()),
                                       testing::HasSubstr("not supported"),
                                       testing::HasSubstr("--template")));
    } else if (one["text"].is_null()) {
      EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("chat template"),
                                       testing::AnyOf(testing::EndsWith("."),
                                                      testing::HasSubstr("refuses: "))));
    } else {
      EXPECT_EQ(text, one["text"].get<std::string>());
    }
  }
}

TEST(Jinja, ErrorsNameTheLine) {
  EXPECT_THAT(rendered("a\n{% if x %}\n"), testing::HasSubstr("line 2: expected {% endif"));
  EXPECT_THAT(rendered("{{ a }}\n\n{{ a b }}"), testing::HasSubstr("line 3"));
  EXPECT_THAT(rendered("\n{% include 'x' %}"), testing::HasSubstr("the tag \"include\" (line 2)"));
  EXPECT_THAT(rendered("{{ 'a' | frobnicate }}"), testing::HasSubstr("the filter \"frobnicate\""));
  EXPECT_THAT(rendered("{{ 'a'.format(1) }}"), testing::HasSubstr("the method \"format\""));
  EXPECT_THAT(rendered("{{ 1 is prime }}"), testing::HasSubstr("the test \"prime\""));
  EXPECT_THAT(rendered("{{ x.y.z }}"), testing::HasSubstr("\"x\", which is not defined"));
  EXPECT_THAT(rendered("{{ 1.5 }}"), testing::HasSubstr("decimal point"));
  EXPECT_THAT(rendered("{{ 'Straße' | upper }}"), testing::HasSubstr("the other case of \"ß\""));
}

TEST(Jinja, HostileTemplatesEnd) {
  const std::string deep(100000, '(');
  EXPECT_THAT(rendered("{{ " + deep + std::string(deep.size(), ')') + " }}"),
              testing::HasSubstr("nested"));
  EXPECT_THAT(rendered("{{ " + std::string(100000, '-') + "1 }}"), testing::HasSubstr("nested"));
  std::string ifs;
  for (int i = 0; i < 10000; ++i) ifs += "{% if a %}";
  EXPECT_THAT(rendered(ifs), testing::HasSubstr("nested"));
  std::string loops, ends;
  for (int i = 0; i < 5; ++i) {
    loops += "{% for i in s %}";
    ends += "{% endfor %}";
  }
  EXPECT_THAT(rendered("{% set s = '" + std::string(1000, 'a') + "' %}" + loops + ends),
              testing::HasSubstr("come to an end"));
  EXPECT_THAT(rendered("{% set n = namespace(s='abcd') %}{% for i in '" + std::string(40, 'a') +
                       "' %}"
                       "{% set n.s = n.s + n.s %}{% endfor %}"),
              testing::HasSubstr("too long"));
  EXPECT_THAT(rendered("{{ 9223372036854775 * 9223372036854775 }}"), testing::HasSubstr("range"));
}

// Through every way of taking texts apart and putting them together.
TEST(Jinja, WhatWasTypedIsKnown) {
  const json messages = {{{"role", "user"}, {"content", " aé,b "}}};
  const auto typed = [&](const std::string& source) {
    std::string marks;
    for (const char32_t unit : render(parse(source), variables(messages, json::object()))) {
      marks += (unit & kTyped) != 0 ? 't' : '.';
    }
    return marks;
  };
  EXPECT_EQ(typed("x{{ messages[0].content }}y"), ".tttttt.");
  EXPECT_EQ(typed("{{ '[' ~ messages[0]['content'] | trim | upper + ']' }}"), ".tttt.");
  EXPECT_EQ(typed("{% for p in messages[0].content.split(',') %}{{ p }};{% endfor %}"), "ttt.tt.");
  EXPECT_EQ(typed("{{ messages[0].content.replace('a', 'XY')[::-1] }}"), "tttt..t");
  EXPECT_EQ(typed("{{ messages[0] | tojson }}").find('t'),
            std::string("{\"role\": \"user\", \"content\": \"").size());
  EXPECT_EQ(typed("{% set c %}{{ messages[0].content }}.{% endset %}{{ c | join('-') }}"),
            "t.t.t.t.t.t..");
}

}  // namespace
}  // namespace aira::jinja
