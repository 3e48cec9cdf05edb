// Tokenizer folders of many kinds against what transformers made of them
// (tools/goldens/tokenizer_kinds.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "aira/tokenizer.h"
#include "tokenizer_test_files.h"

namespace aira {
namespace {

using nlohmann::json;

std::vector<json> read_kinds() {
  std::ifstream file(data_path("kinds.jsonl"));
  std::vector<json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(json::parse(line));
  return rows;
}

FileMap files_of(const json& base, const json& kind) {
  FileMap files;
  json tokenizer = base;
  tokenizer.merge_patch(kind["patch"]);
  if (kind.contains("old")) {
    files["vocab.json"] = tokenizer["model"]["vocab"].dump();
    std::string& merges = files["merges.txt"] = "#version: 0.2\n";
    for (const json& pair : tokenizer["model"]["merges"]) {
      merges += pair[0].get<std::string>() + " " + pair[1].get<std::string>() + "\n";
    }
  } else {
    files["tokenizer.json"] = tokenizer.dump();
  }
  for (const auto& [name, content] : kind["files"].items()) files[name] = content.dump();
  return files;
}

/// `values` with the exceptions [index, value] put in.
template <typename T>
std::vector<T> changed(std::vector<T> values, const json& exceptions) {
  for (const json& pair : exceptions) values.at(pair[0].get<std::size_t>()) = pair[1].get<T>();
  return values;
}

TEST(TokenizerKinds, AreTakenAsTransformersTakesThem) {
  using Ids = std::vector<std::int32_t>;
  const std::vector<json> rows = read_kinds();
  ASSERT_GE(rows.size(), 100U);
  const auto texts = rows[0]["texts"].get<std::vector<std::string>>();
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const json& kind = rows[i];
    SCOPED_TRACE(kind["name"]);
    const Tokenizer tokenizer = load_files(files_of(rows[0]["base"], kind));
    const auto ids = kind["ids"].get<std::vector<Ids>>();
    const auto bare = changed(ids, kind["bare"]);
    const auto decoded = changed(texts, kind["decoded"]);
    const bool split_special = kind["name"].get<std::string>().starts_with("split-special");
    const auto added = split_special ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
    for (std::size_t t = 0; t < texts.size(); ++t) {
      SCOPED_TRACE(texts[t]);
      EXPECT_EQ(tokenizer.encode_with_template(texts[t], Tokenizer::Added::kRecognise), ids[t]);
      EXPECT_EQ(tokenizer.encode(texts[t], added), bare[t]);
      EXPECT_EQ(tokenizer.decode(ids[t], false), decoded[t]);
    }
  }
}

}  // namespace
}  // namespace aira
