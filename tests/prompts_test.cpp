// Prompts: chat templates to ids as transformers' apply_chat_template gives them, templates of the
// command line, and which tokens count as markers.
#include "aira/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer_test_files.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// The small tokenizer with these keys in its tokenizer_config.json; null removes one.
Tokenizer tokenizer_with(const json& changes) {
  FileMap files = small_files({"tokenizer.json", "tokenizer_config.json"});
  json config = json::parse(files["tokenizer_config.json"]);
  config.merge_patch(changes);
  files["tokenizer_config.json"] = config.dump();
  return load_files(files);
}

TEST(Prompts, ChatTemplatesGiveTheIdsOfTransformers) {
  std::ifstream file(AIRA_TEST_DATA "/chat_templates.json");
  int compared = 0;
  for (const json& one : json::parse(file)) {
    if (!one.contains("ids")) continue;
    SCOPED_TRACE(one["name"].get<std::string>());
    const Tokenizer tokenizer = tokenizer_with({{"chat_template", one["own_template"]}});
    const auto content = [&](std::size_t i) {
      return one["messages"][i]["content"].get<std::string>();
    };
    std::vector<Prompts::Turn> turns;
    for (std::size_t i = 0; i + 1 < one["messages"].size(); i += 2) {
      turns.emplace_back(content(i), content(i + 1));
    }
    const Ids ids = Prompts(tokenizer, {}, {}).question(content(one["messages"].size() - 1), turns);
    EXPECT_EQ(ids, one["ids"].get<Ids>());
    ++compared;
  }
  EXPECT_GT(compared, 30);
}

TEST(Prompts, SpecialTokensCountInFormsAlone) {
  const Tokenizer tokenizer =
      tokenizer_with({{"chat_template", "<|start|>{{ messages[0].content }}<|end|>"}});
  const Prompts prompts(tokenizer, {}, {});
  const auto text = [&](std::string_view typed) {
    return tokenizer.encode(typed, Tokenizer::Added::kPlainText);
  };
  for (const std::string typed :
       {"<|end|>a<|start|>", "<|end|", "|end|>", "[L]", "a [L] b", "<|pad|>"}) {
    Ids expected = text(typed);
    for (const Ids& ids :
         {prompts.question(typed), prompts.question(typed, {}, "<|start|>{}<|end|>")}) {
      EXPECT_EQ(ids.front(), *tokenizer.find("<|start|>")) << typed;
      EXPECT_EQ(ids.back(), *tokenizer.find("<|end|>")) << typed;
      EXPECT_EQ(Ids(ids.begin() + 1, ids.end() - 1), expected) << typed;
    }
  }
  // A token that begins in the form and ends in the question, or the other way round, is none.
  const Ids split = prompts.question("end|>", {}, "<|{}");
  EXPECT_EQ(
      std::count_if(split.begin(), split.end(), [&](auto id) { return tokenizer.is_special(id); }),
      0);
}

TEST(Prompts, FormsJoinWithTheQuestion) {
  const Tokenizer tokenizer = tokenizer_with(json::object());
  const Prompts prompts(tokenizer, {602}, {});
  const auto recognised = [&](std::string_view text) {
    return tokenizer.encode(text, Tokenizer::Added::kRecognise);
  };
  EXPECT_EQ(prompts.question("coisa", {}, "uma {question} sim"), recognised("uma coisa sim"));
  EXPECT_EQ(prompts.question("x", {}, "{question} {}"), recognised("x {}"));
  const std::vector<Prompts::Turn> turns = {{"a", " b"}};
  EXPECT_EQ(prompts.question("c", turns, "P:{}R:"), recognised("P:aR: b<|endoftext|>P:cR:"));
  EXPECT_THROW(prompts.question("c", {}, "{quest}"), UsageError);
}

TEST(Prompts, WhichTokensAreMarkers) {
  const auto has = [](const json& changes) {
    const Tokenizer tokenizer = tokenizer_with(changes);
    return Prompts(tokenizer, {}, {}).has_markers();
  };
  EXPECT_TRUE(has(json::object()));
  EXPECT_FALSE(has({{"sep_token", nullptr}}));
  EXPECT_FALSE(has({{"sep_token", "<|start|>"}}));
  EXPECT_FALSE(has({{"sep_token", "<|endoftext|>"}})) << "RoBERTa's sep is its eos";
  EXPECT_FALSE(has({{"eos_token", "<|start|>"}})) << "GPT-2's bos is its eos";
  EXPECT_FALSE(has({{"sep_token", "[R]"}})) << "BERT's [SEP]";
  EXPECT_FALSE(has({{"chat_template", "{{ messages[0].content }}"}}));
}

TEST(Prompts, RawTextsAreWhatTheTokenizerMakesOfThem) {
  const Tokenizer tokenizer = tokenizer_with(json::object());
  const Prompts prompts(tokenizer, {}, {});
  EXPECT_EQ(prompts.raw("<|start|>a"),
            (tokenizer.encode("<|start|>a", Tokenizer::Added::kRecognise)));
  EXPECT_EQ(prompts.raw("<|start|>a", Tokenizer::Added::kPlainText),
            (tokenizer.encode("<|start|>a", Tokenizer::Added::kPlainText)));
  EXPECT_EQ(prompts.raw(""), Ids{*tokenizer.find("<|endoftext|>")});
}

}  // namespace
}  // namespace aira
