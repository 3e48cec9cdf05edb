// Whole tokenizer files that are wrong, in both layouts: one sentence each that names the file and
// the cause.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "aira/error.h"
#include "tokenizer_test_files.h"

namespace aira {
namespace {

// Every process of the test program makes the tables, so long files are written short in them.
struct Broken {
  const char* name;
  std::vector<const char*> from_small;  // files taken from small-files
  FileMap files;                        // what follows a '@' is there 100,000 times
  const char* file;
  const char* cause;
};

void PrintTo(const Broken& one, std::ostream* out) { *out << one.name; }

class BrokenFiles : public testing::TestWithParam<Broken> {};

std::string nested(const std::string& opening) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += opening;
  return text;
}

TEST_P(BrokenFiles, AreRefused) {
  FileMap files = GetParam().files;
  for (auto& [name, text] : files) {
    const std::size_t at = text.find('@');
    if (at != std::string::npos) text.replace(at, std::string::npos, nested(text.substr(at + 1)));
  }
  for (const std::string name : GetParam().from_small) {
    files[name] = read_data("small-files/" + name);
  }
  expect_sentence(files, GetParam().file, GetParam().cause);
}

const Broken kTokenizerJson[] = {
    {"nothing", {}, {}, "memory", "has no tokenizer"},
    {"empty", {}, {{"tokenizer.json", ""}}, "memory/tokenizer.json", "not valid JSON"},
    {"not_json", {}, {{"tokenizer.json", "hello"}}, "memory/tokenizer.json", "byte 1"},
    {"list", {}, {{"tokenizer.json", "[]"}}, "memory/tokenizer.json", "must be a JSON object"},
    {"deep", {}, {{"tokenizer.json", "@["}}, "memory/tokenizer.json", "JSON"},
    {"deep_value", {}, {{"tokenizer.json", "{\"x\":@["}}, "memory/tokenizer.json", "nested deeper"},
    {"deep_unclosed",
     {},
     {{"tokenizer.json", "{\"x\":@{\"a\":"}},
     "memory/tokenizer.json",
     "nested deeper"},
    {"deep_vocab",
     {},
     {{"tokenizer.json", "{\"model\":{\"vocab\":@["}},
     "memory/tokenizer.json",
     "nested deeper"},
    {"key_twice",
     {},
     {{"tokenizer.json", R"({"decoder": null, "decoder": null})"}},
     "memory/tokenizer.json",
     "\"decoder\" twice"},
    {"vocab_twice",
     {},
     {{"tokenizer.json", R"({"model": {"vocab": {}, "vocab": {"a": 0}}, "model": {}})"}},
     "memory/tokenizer.json",
     "\"vocab\" twice"},
    {"token_twice",
     {},
     {{"tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel"},
      "decoder": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "a": 1}, "merges": []}})"}},
     "memory/tokenizer.json",
     "token \"a\" twice"},
    {"utf8_in_token",
     {},
     {{"tokenizer.json", "{\"model\":{\"vocab\":{\"a\xFF\":0}}}"}},
     "memory/tokenizer.json",
     "not valid UTF-8"},
    {"utf8_in_setting",
     {},
     {{"tokenizer.json", "{\"version\":\"\xC3\"}"}},
     "memory/tokenizer.json",
     "not valid UTF-8"},
};

const Broken kOldFiles[] = {
    {"no_merges", {"vocab.json"}, {}, "merges.txt", "memory"},
    {"vocab_empty", {"merges.txt"}, {{"vocab.json", ""}}, "memory/vocab.json", "not valid JSON"},
    {"vocab_cut",
     {"merges.txt"},
     {{"vocab.json", "{\"a\": 0"}},
     "memory/vocab.json",
     "not valid JSON"},
    {"vocab_more",
     {"merges.txt"},
     {{"vocab.json", "{\"a\": 0}{}"}},
     "memory/vocab.json",
     "not valid JSON"},
    {"vocab_deep",
     {"merges.txt"},
     {{"vocab.json", "@{\"a\":"}},
     "memory/vocab.json",
     "not a whole number"},
    {"vocab_bytes",
     {"merges.txt"},
     {{"vocab.json", "{\"a\": 0}"}},
     "memory/merges.txt",
     "needs token"},
    {"merges_words",
     {"vocab.json"},
     {{"merges.txt", "#version: 0.2\na\n"}},
     "memory/merges.txt: line 2",
     "two tokens"},
    {"merges_blank",
     {"vocab.json"},
     {{"merges.txt", "\n"}},
     "memory/merges.txt: line 1",
     "two tokens"},
    {"merges_unknown",
     {"vocab.json"},
     {{"merges.txt", "a q"}},
     "memory/merges.txt",
     "merge 1 needs token \"aq\""},
    {"merges_utf8", {"vocab.json"}, {{"merges.txt", "\xFF a"}}, "memory/merges.txt", "\"\\xff\""},
    {"merges_half_a_letter", {"vocab.json"}, {{"merges.txt", "a \xC3"}}, "merges.txt", "\"\\xc3\""},
    {"merges_overlong", {"vocab.json"}, {{"merges.txt", "a \xC1\xA1"}}, "merges.txt", "\\xc1"},
    {"merges_stray_byte", {"vocab.json"}, {{"merges.txt", "a \xA1"}}, "merges.txt", "\"\\xa1\""},
    {"merges_zeros",
     {"vocab.json"},
     {{"merges.txt", std::string(5, '\0')}},
     "memory/merges.txt",
     "\\x00"},
    {"config_list",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", "[]"}},
     "memory/tokenizer_config.json",
     "must be a JSON object"},
    {"config_deep",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", "@["}},
     "memory/tokenizer_config.json",
     "nested deeper"},
    {"prefix_space",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"add_prefix_space": 3})"}},
     "memory/tokenizer_config.json",
     "\"add_prefix_space\""},
    {"role_number",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"eos_token": 3})"}},
     "memory/tokenizer_config.json",
     "\"eos_token\" must be a string"},
    {"role_no_content",
     {"vocab.json", "merges.txt"},
     {{"special_tokens_map.json", R"({"eos_token": {}})"}},
     "memory/special_tokens_map.json",
     "has no \"content\""},
    {"extra_text",
     {"vocab.json", "merges.txt"},
     {{"special_tokens_map.json", R"({"additional_special_tokens": "x"})"}},
     "memory/special_tokens_map.json",
     "\"additional_special_tokens\" must be a list"},
    {"extra_number",
     {"vocab.json", "merges.txt"},
     {{"special_tokens_map.json", R"({"additional_special_tokens": [1]})"}},
     "memory/special_tokens_map.json",
     "must be a string"},
    {"other_class",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"tokenizer_class": "BertTokenizerFast"})"}},
     "memory/tokenizer_config.json",
     "the class \"BertTokenizer\""},
    {"decoder_list",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"added_tokens_decoder": []})"}},
     "memory/tokenizer_config.json",
     "\"added_tokens_decoder\" must be an object"},
    {"decoder_key",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"added_tokens_decoder": {"1x": {"content": "a"}}})"}},
     "memory/tokenizer_config.json",
     "\"1x\""},
    {"decoder_id",
     {"vocab.json", "merges.txt"},
     {{"tokenizer_config.json", R"({"added_tokens_decoder": {"7000": {"content": "<x>"}}})"}},
     "memory/tokenizer_config.json",
     "has the id 7000; expected 600"},
    {"added_id",
     {"vocab.json", "merges.txt"},
     {{"added_tokens.json", R"({"<x>": 599})"}},
     "memory/added_tokens.json",
     "has the id 599; expected 600"},
    {"added_null",
     {"vocab.json", "merges.txt"},
     {{"added_tokens.json", R"({"<x>": null})"}},
     "memory/added_tokens.json",
     "a token id"},
    {"added_negative",
     {"vocab.json", "merges.txt"},
     {{"added_tokens.json", R"({"<x>": -1})"}},
     "memory/added_tokens.json",
     "must be a whole number"},
};

const auto kBrokenName = [](const auto& one) { return std::string(one.param.name); };
INSTANTIATE_TEST_SUITE_P(TokenizerJson, BrokenFiles, testing::ValuesIn(kTokenizerJson),
                         kBrokenName);
INSTANTIATE_TEST_SUITE_P(OldFiles, BrokenFiles, testing::ValuesIn(kOldFiles), kBrokenName);

TEST(TokenizerFiles, DeepValuesAreRefused) {
  expect_sentence({{"tokenizer.json", "{\"x\":" + nested("[") + nested("]") + "}"}},
                  "memory/tokenizer.json", "nested deeper");
}

TEST(TokenizerFiles, WindowsLineEndsInMerges) {
  FileMap files;
  files["vocab.json"] = read_data("small-files/vocab.json");
  files["merges.txt"] = read_data("small-files/merges.txt");
  const auto ids = load_files(files).encode("pescador", Tokenizer::Added::kRecognise);
  std::string& merges = files["merges.txt"];
  for (std::size_t at = 0; (at = merges.find('\n', at)) != std::string::npos; at += 2) {
    merges.replace(at, 1, "\r\n");
  }
  EXPECT_EQ(load_files(files).encode("pescador", Tokenizer::Added::kRecognise), ids);
}

// Every prefix of a file, and every file with one byte changed, either loads or is refused in one
// sentence; the sanitizers watch.
TEST(TokenizerFiles, CutAndFlippedFilesNeverCrash) {
  const FileMap whole = small_files({"tokenizer.json", "tokenizer_config.json"});
  std::uint32_t random = 12345;
  for (int round = 0; round < 400; ++round) {
    FileMap files = whole;
    random = random * 1664525 + 1013904223;
    std::string& text = files[round % 4 == 3 ? "tokenizer_config.json" : "tokenizer.json"];
    const std::size_t at = (random >> 8) % text.size();
    if (round % 2 == 0) {
      text.resize(at);
    } else {
      text[at] = static_cast<char>(random);
    }
    const std::string sentence = failure(files);
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
    EXPECT_TRUE(round % 2 == 1 || !sentence.empty()) << at;
  }
}

}  // namespace
}  // namespace aira
