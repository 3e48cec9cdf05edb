// A tokenizer's image: what comes back gives the same ids and texts, and no damage gets through.
#include "text/tokenizer_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "aira/tokenizer.h"
#include "model_fixtures.h"

namespace aira {
namespace {

std::vector<std::string> texts() {
  std::vector<std::string> all = {"", " ", "Olá, mundo!", "<|endoftext|>a<|endofinstruction|>"};
  std::ifstream lines(AIRA_TEST_DATA "/tokenizer/texts.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto value = nlohmann::json::parse(line);
    if (value.is_string()) all.push_back(value.get<std::string>());
    if (value.is_object()) {
      for (const auto& [key, text] : value.items()) {
        if (text.is_string()) all.push_back(text.get<std::string>());
      }
    }
  }
  return all;
}

class Image : public ::testing::TestWithParam<const char*> {
 protected:
  Tokenizer load() const {
    return Tokenizer::load(
        ModelFiles::from_folder(std::string(AIRA_TEST_DATA "/tokenizer/") + GetParam()));
  }
};

TEST_P(Image, GivesTheSameTokenizer) {
  const Tokenizer original = load();
  const auto copy = Tokenizer::from_image(original.image());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->image(), original.image());
  ASSERT_EQ(copy->size(), original.size());
  EXPECT_EQ(copy->roles().bos, original.roles().bos);
  EXPECT_EQ(copy->roles().sep, original.roles().sep);
  EXPECT_EQ(copy->roles().eos, original.roles().eos);
  EXPECT_EQ(copy->roles().pad, original.roles().pad);
  EXPECT_EQ(copy->roles().unk, original.roles().unk);
  for (std::int32_t id = -1; id <= original.size(); ++id) {
    ASSERT_EQ(copy->bytes(id), original.bytes(id)) << id;
    ASSERT_EQ(copy->is_special(id), original.is_special(id)) << id;
  }
  const std::vector<std::string> all = texts();
  ASSERT_GT(all.size(), 1000U);
  for (const std::string& text : all) {
    for (const auto added : {Tokenizer::Added::kRecognise, Tokenizer::Added::kPlainText}) {
      const auto ids = original.encode(text, added);
      ASSERT_EQ(copy->encode(text, added), ids) << text;
      ASSERT_EQ(copy->decode(ids, true), original.decode(ids, true)) << text;
    }
  }
}

TEST_P(Image, DamageIsNoticed) {
  const std::string good = load().image();
  for (std::size_t at = 0; at < good.size(); at += std::max<std::size_t>(1, good.size() / 997)) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x04);
    EXPECT_FALSE(Tokenizer::from_image(bad)) << at;
    EXPECT_FALSE(Tokenizer::from_image(std::string_view(good).substr(0, at))) << at;
  }
  EXPECT_FALSE(Tokenizer::from_image(good + '\0'));
}

INSTANTIATE_TEST_SUITE_P(Folders, Image, ::testing::Values("small", "small-files"),
                         [](const auto& param) {
                           return std::string(param.param) == "small" ? "json" : "files";
                         });

}  // namespace
}  // namespace aira
