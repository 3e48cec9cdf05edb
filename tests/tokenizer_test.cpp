// The tokenizer as its callers see it: roles, special tokens, bytes, odd ids, long texts.
#include "aira/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tokenizer_test_files.h"

namespace aira {
namespace {

using Added = Tokenizer::Added;
using Ids = std::vector<std::int32_t>;

Tokenizer small() { return load_files(small_files({"tokenizer.json", "tokenizer_config.json"})); }

TEST(Tokenizer, RolesComeFromTheConfiguration) {
  const Tokenizer tokenizer = small();
  EXPECT_EQ(tokenizer.roles().bos, tokenizer.find("<|start|>"));
  EXPECT_EQ(tokenizer.roles().sep, tokenizer.find("<|end|>"));
  EXPECT_EQ(tokenizer.roles().eos, tokenizer.find("<|endoftext|>"));
  EXPECT_EQ(tokenizer.roles().pad, tokenizer.find("<|pad|>"));
  EXPECT_EQ(tokenizer.roles().unk, tokenizer.find("<|endoftext|>"));
  EXPECT_TRUE(tokenizer.roles().bos.has_value());
  EXPECT_EQ(tokenizer.find("<|start|"), std::nullopt);
}

TEST(Tokenizer, SpecialTokensMapWinsUnlessThereIsAnAddedTokensDecoder) {
  FileMap files = small_files({"tokenizer.json"});
  EXPECT_EQ(load_files(files).roles().eos, load_files(files).find("<|endoftext|>"));
  files["special_tokens_map.json"] =
      R"({"eos_token": {"content": "[R]", "lstrip": false}, "bos_token": "the", "pad_token": null})";
  files["tokenizer_config.json"] =
      R"({"bos_token": "<|start|>", "sep_token": "ab", "pad_token": "é"})";
  Tokenizer tokenizer = load_files(files);
  EXPECT_EQ(tokenizer.roles().eos, tokenizer.find("[R]"));
  EXPECT_EQ(tokenizer.roles().bos, tokenizer.find("the"));
  EXPECT_EQ(tokenizer.roles().sep, tokenizer.find("ab"));
  EXPECT_EQ(tokenizer.roles().pad, std::nullopt);
  files["tokenizer_config.json"] = R"({"bos_token": "<|start|>", "added_tokens_decoder": {}})";
  tokenizer = load_files(files);
  EXPECT_EQ(tokenizer.roles().bos, tokenizer.find("<|start|>"));
  EXPECT_EQ(tokenizer.roles().eos, tokenizer.find("<|endoftext|>"));
}

// A token with a role that no file lists follows the vocabulary, in the order of the roles.
TEST(Tokenizer, RolesExtendTheVocabulary) {
  FileMap files = small_files({"tokenizer.json"});
  const std::int64_t size = load_files(files).size();
  files["tokenizer_config.json"] = R"({"pad_token": "[PAD]", "eos_token": "</é>"})";
  const Tokenizer tokenizer = load_files(files);
  EXPECT_EQ(tokenizer.size(), size + 2);
  EXPECT_EQ(tokenizer.roles().eos, size);
  EXPECT_EQ(tokenizer.roles().pad, size + 1);
  EXPECT_EQ(tokenizer.encode("</é>[PAD]", Added::kRecognise),
            (Ids{*tokenizer.roles().eos, *tokenizer.roles().pad}));
  EXPECT_TRUE(tokenizer.is_special(*tokenizer.roles().eos));
}

TEST(Tokenizer, ChatTemplateIsFoundInBothPlaces) {
  FileMap files = small_files({"tokenizer.json"});
  EXPECT_EQ(load_files(files).chat_template(), "");
  files["tokenizer_config.json"] = R"({"chat_template": "{{ bos_token }}\u00e9"})";
  EXPECT_EQ(load_files(files).chat_template(), "{{ bos_token }}\xC3\xA9");
  files["tokenizer_config.json"] =
      R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]})";
  EXPECT_EQ(load_files(files).chat_template(), "d");
  files["chat_template.jinja"] = "{{ eos_token }}\n";
  EXPECT_EQ(load_files(files).chat_template(), "{{ eos_token }}\n");
}

TEST(Tokenizer, TypedMarkersAreText) {
  const Tokenizer tokenizer = small();
  const Ids ids = tokenizer.encode("<|start|>oi<|end|>", Added::kPlainText);
  for (const std::int32_t id : ids) EXPECT_FALSE(tokenizer.is_special(id));
  EXPECT_EQ(tokenizer.decode(ids, true), "<|start|>oi<|end|>");
  EXPECT_THAT(tokenizer.encode("<|start|>oi<|end|>", Added::kRecognise),
              testing::AllOf(testing::Contains(*tokenizer.roles().bos),
                             testing::Contains(*tokenizer.roles().sep)));
}

// A token with a role is a marker whatever its "special" says.
TEST(Tokenizer, RoleMakesSpecial) {
  FileMap files = small_files({"tokenizer.json"});
  files["tokenizer_config.json"] = R"({"sep_token": "[R]"})";
  const Tokenizer tokenizer = load_files(files);
  EXPECT_TRUE(tokenizer.is_special(*tokenizer.find("[R]")));
  EXPECT_THAT(tokenizer.encode("a[R]", Added::kPlainText),
              testing::Not(testing::Contains(*tokenizer.find("[R]"))));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a[R]b", Added::kRecognise), true), "ab");
}

// ignore_merges takes a whole piece from the vocabulary, but never a marker out of plain text.
TEST(Tokenizer, IgnoreMergesKeepsMarkersOut) {
  FileMap files = small_files({"tokenizer.json"});
  std::string& json = files["tokenizer.json"];
  json.replace(json.find("\"ignore_merges\":false"), 21, "\"ignore_merges\":true");
  files["tokenizer_config.json"] =
      R"({"sep_token": "the", "tokenizer_class": "PreTrainedTokenizerFast"})";
  const Tokenizer tokenizer = load_files(files);
  const std::int32_t the = *tokenizer.find("the");
  EXPECT_THAT(tokenizer.encode("the", Added::kRecognise), testing::ElementsAre(the));
  EXPECT_THAT(tokenizer.encode("the", Added::kPlainText), testing::Not(testing::Contains(the)));
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreNothing) {
  const Tokenizer tokenizer = small();
  const auto last = static_cast<std::int32_t>(tokenizer.size()) - 1;
  for (const std::int32_t id : {-1, INT32_MIN, last + 1, INT32_MAX}) {
    EXPECT_EQ(tokenizer.bytes(id), "");
    EXPECT_FALSE(tokenizer.is_special(id));
  }
  EXPECT_NE(tokenizer.bytes(last), "");
  const std::int32_t a = *tokenizer.find("a");
  EXPECT_EQ(tokenizer.decode(Ids{-1, a, last + 1}, false), "a");
}

TEST(Tokenizer, EveryByteHasATokenOfItsOwn) {
  const Tokenizer tokenizer = small();
  std::string all;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) {
    if (tokenizer.bytes(id).size() == 1) all += tokenizer.bytes(id);
  }
  std::sort(all.begin(), all.end(), [](unsigned char a, unsigned char b) { return a < b; });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  EXPECT_EQ(all.size(), 256U);
}

TEST(Tokenizer, LongTextsComeBackWhole) {
  const Tokenizer tokenizer = small();
  for (const std::string unit : {"z", " ", "\n", "\xC3\xAA", "az ", "'", "\xFF"}) {
    std::string text;
    std::string expected;
    while (text.size() < 300'000) {
      text += unit;
      expected += unit == "\xFF" ? "\xEF\xBF\xBD" : unit;
    }
    const Ids ids = tokenizer.encode(text, Added::kPlainText);
    EXPECT_TRUE(tokenizer.decode(ids, false) == expected) << unit;
  }
}

}  // namespace
}  // namespace aira
