// The tokenizer against what the real `tokenizers` library said (tools/goldens/tokenizer.py): every
// set of goldens in tests/data/tokenizer over every text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "aira/error.h"
#include "aira/tokenizer.h"
#include "base/utf8.h"
#include "tokenizer_test_files.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

std::vector<json> read_lines(const std::string& name) {
  std::ifstream file(data_path(name));
  std::vector<json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(json::parse(line));
  return rows;
}

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char digit : text.substr(0, text.find('='))) {
    bits = (bits << 6 | static_cast<unsigned>(kDigits.find(digit))) & 0xFFFF;
    count += 6;
    if (count >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return out;
}

std::vector<std::string> read_texts() {
  std::vector<std::string> texts;
  for (const json& row : read_lines("texts.jsonl")) {
    texts.push_back(row.is_string() ? row.get<std::string>()
                                    : from_base64(row["bytes"].get<std::string>()));
  }
  return texts;
}

/// The tokenizer of a golden set: a folder of the project or of the shared test data, or "small"
/// with other options of its tokenizer.json, as tools/goldens/tokenizer.py makes them.
std::optional<Tokenizer> load(const std::string& name) {
  if (name == "gpt2") return load_folder(std::string(AIRA_SHARED_DATA) + "/gpt2-tokenizer");
  if (name == "mini") return load_folder(std::string(AIRA_SOURCE_DIR) + "/tools/mini/model");
  if (name == "small" || name == "small-files") return load_folder(data_path(name));
  json file = json::parse(read_data("small/tokenizer.json"));
  json config = json::parse(read_data("small/tokenizer_config.json"));
  config["tokenizer_class"] = "PreTrainedTokenizerFast";  // GPT-2's own knows none of the options
  if (name == "small-prefix") file["pre_tokenizer"]["add_prefix_space"] = true;
  if (name == "small-noregex") file["pre_tokenizer"]["use_regex"] = false;
  if (name == "small-ignore") {
    json& model = file["model"];
    model["ignore_merges"] = true;
    model["merges"].erase(model["merges"].begin() + 100, model["merges"].end());
  }
  return load_files({{"tokenizer.json", file.dump()}, {"tokenizer_config.json", config.dump()}});
}

void expect_text(const Tokenizer& tokenizer, const std::string& text, const json& golden) {
  const auto ids = golden["ids"].get<Ids>();
  EXPECT_EQ(tokenizer.encode(text, Tokenizer::Added::kRecognise), ids);
  EXPECT_EQ(tokenizer.encode(text, Tokenizer::Added::kPlainText), golden.value("plain", ids));
  const std::string decoded = golden.value("decoded", valid_utf8(text));
  EXPECT_EQ(tokenizer.decode(ids, false), decoded);
  EXPECT_EQ(tokenizer.decode(ids, true), golden.value("skipped", decoded));
}

class TokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, EncodesAndDecodesEveryText) {
  const std::optional<Tokenizer> tokenizer = load(GetParam());
  if (!tokenizer) GTEST_SKIP() << "the tokenizer " << GetParam() << " is not on this machine";
  const std::vector<std::string> texts = read_texts();
  const std::vector<json> goldens = read_lines("ids-" + GetParam() + ".jsonl");
  ASSERT_GE(texts.size(), 2000U);
  ASSERT_LE(goldens.size(), texts.size());
  ASSERT_GE(goldens.size(), 600U);
  for (std::size_t i = 0; i < goldens.size(); ++i) {
    SCOPED_TRACE("text " + std::to_string(i + 1) + ": " +
                 json(texts[i]).dump(-1, ' ', true, json::error_handler_t::replace));
    expect_text(*tokenizer, texts[i], goldens[i]);
    if (HasFailure()) return;
  }
}

TEST_P(TokenizerGolden, DecodesAnyIds) {
  const std::optional<Tokenizer> tokenizer = load(GetParam());
  if (!tokenizer) GTEST_SKIP() << "the tokenizer " << GetParam() << " is not on this machine";
  const std::vector<json> goldens = read_lines("decode-" + GetParam() + ".jsonl");
  ASSERT_EQ(goldens.size(), 400U);
  for (const json& golden : goldens) {
    const auto ids = golden["ids"].get<Ids>();
    const auto decoded = golden["decoded"].get<std::string>();
    ASSERT_EQ(tokenizer->decode(ids, false), decoded) << golden;
    ASSERT_EQ(tokenizer->decode(ids, true), golden.value("skipped", decoded)) << golden;
    Utf8Stream stream;
    std::string streamed;
    for (const std::int32_t id : ids) {
      streamed += stream.push(tokenizer->bytes(id));
      ASSERT_EQ(valid_utf8(streamed), streamed) << "not whole letters";
    }
    ASSERT_EQ(streamed + stream.finish(), decoded) << golden;
  }
}

std::vector<std::string> golden_sets() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_path(""))) {
    const std::string name = entry.path().stem();
    if (name.starts_with("ids-")) names.push_back(name.substr(4));
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Sets, TokenizerGolden, testing::ValuesIn(golden_sets()),
                         [](const auto& set) {
                           std::string name = set.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// vocab.json + merges.txt with added_tokens_decoder in tokenizer_config.json describe the same
// tokenizer as tokenizer.json, flags included.
TEST(TokenizerGolden, AddedTokensDecoderGivesTheFlags) {
  FileMap files = small_files({"tokenizer_config.json"});
  files["vocab.json"] = read_data("small-files/vocab.json");
  files["merges.txt"] = read_data("small-files/merges.txt");
  const Tokenizer tokenizer = load_files(files);
  const std::vector<std::string> texts = read_texts();
  const std::vector<json> goldens = read_lines("ids-small.jsonl");
  ASSERT_EQ(goldens.size(), texts.size());
  for (std::size_t i = 0; i < goldens.size(); ++i) {
    expect_text(tokenizer, texts[i], goldens[i]);
    ASSERT_FALSE(HasFailure()) << i + 1;
  }
}

}  // namespace
}  // namespace aira
