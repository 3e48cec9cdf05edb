// tokenizer.json with one value changed: what is accepted beside the common shape, and one sentence
// that names the file and the cause for everything that is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "tokenizer_test_files.h"

namespace aira {
namespace {

using nlohmann::json;

struct Change {
  const char* name;
  std::function<void(json&)> change;
  const char* cause;  // part of the message; empty: accepted
};

void PrintTo(const Change& one, std::ostream* out) { *out << one.name; }

class TokenizerJson : public testing::TestWithParam<Change> {};

TEST_P(TokenizerJson, IsChecked) {
  json file = json::parse(read_data("small/tokenizer.json"));
  GetParam().change(file);
  // The class that follows tokenizer.json; GPT-2's own takes less from it.
  const FileMap files = {
      {"tokenizer.json", file.dump()},
      {"tokenizer_config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})"}};
  if (*GetParam().cause == '\0') {
    EXPECT_EQ(failure(files), "");
  } else {
    expect_sentence(files, "memory/tokenizer.json", GetParam().cause);
  }
}

json& vocab(json& file) { return file["model"]["vocab"]; }
json& merges(json& file) { return file["model"]["merges"]; }
json& added(json& file) { return file["added_tokens"]; }

const Change kStructure[] = {
    {"model_missing", [](json& f) { f.erase("model"); }, "\"model\" is missing"},
    {"model_null", [](json& f) { f["model"] = nullptr; }, "\"model\" is missing"},
    {"model_list", [](json& f) { f["model"] = json::array(); }, "\"model\" is missing"},
    {"type_missing", [](json& f) { f["model"].erase("type"); }, ""},
    {"type_number", [](json& f) { f["model"]["type"] = 1; }, "\"type\" must be a string"},
    {"wordpiece", [](json& f) { f["model"]["type"] = "WordPiece"; }, "\"WordPiece\" model"},
    {"unigram",
     [](json& f) {
       f["model"] = {{"type", "Unigram"}, {"vocab", json::array({json::array({"a", -1.5})})}};
     },
     "\"Unigram\" model"},
    {"prefix", [](json& f) { f["model"]["continuing_subword_prefix"] = "##"; },
     "\"continuing_subword_prefix\" is \"##\""},
    {"prefix_empty", [](json& f) { f["model"]["continuing_subword_prefix"] = ""; }, ""},
    {"suffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; },
     "\"end_of_word_suffix\" is \"</w>\""},
    {"suffix_type", [](json& f) { f["model"]["end_of_word_suffix"] = 1; }, "must be a string"},
    {"dropout", [](json& f) { f["model"]["dropout"] = 0.1; }, "\"dropout\""},
    {"dropout_zero", [](json& f) { f["model"]["dropout"] = 0.0; }, ""},
    {"byte_fallback", [](json& f) { f["model"]["byte_fallback"] = true; }, ""},
    {"unk", [](json& f) { f["model"]["unk_token"] = "nowhere"; }, ""},
    {"ignore_merges_type", [](json& f) { f["model"]["ignore_merges"] = "yes"; },
     "\"ignore_merges\""},
    {"normalizer",
     [](json& f) {
       f["normalizer"] = {{"type", "Nmt"}};
     },
     "normalizer \"Nmt\""},
    {"normalizer_in_sequence",
     [](json& f) {
       f["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "BertNormalizer"}}}}};
     },
     "normalizer \"BertNormalizer\""},
    {"sequence_text",
     [](json& f) {
       f["normalizer"] = {{"type", "Sequence"}, {"normalizers", "NFC"}};
     },
     "\"normalizers\" must be a list"},
    {"no_pattern",
     [](json& f) {
       f["normalizer"] = {{"type", "Replace"}};
     },
     "lacks \"pattern\""},
    {"pattern_empty",
     [](json& f) {
       f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}};
     },
     "not empty"},
    {"normalizer_no_type", [](json& f) { f["normalizer"] = json::object(); }, "has no \"type\""},
    {"normalizer_text", [](json& f) { f["normalizer"] = "NFC"; }, "must be a JSON object"},
    {"normalizer_missing", [](json& f) { f.erase("normalizer"); }, ""},
    {"pre_tokenizer_missing", [](json& f) { f.erase("pre_tokenizer"); }, ""},
    {"pre_tokenizer",
     [](json& f) {
       f["pre_tokenizer"] = {{"type", "Metaspace"}};
     },
     "pre-tokenizer \"Metaspace\""},
    {"behavior",
     [](json& f) {
       f["pre_tokenizer"] = {{"type", "Punctuation"}, {"behavior", "Merged"}};
     },
     "\"behavior\" is \"Merged\""},
    {"split",
     [](json& f) {
       f["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "(?<=a)b"}}}};
     },
     "regular expression \"(?<=a)b\""},
    {"prefix_space_type", [](json& f) { f["pre_tokenizer"]["add_prefix_space"] = 1; },
     "\"add_prefix_space\""},
    {"decoder",
     [](json& f) {
       f["decoder"] = {{"type", "WordPiece"}};
     },
     "decoder \"WordPiece\""},
    {"decoder_null", [](json& f) { f["decoder"] = nullptr; }, ""},
    {"post_processor",
     [](json& f) {
       f["post_processor"] = {{"type", "Other"}};
     },
     "\"post_processor\" is \"Other\""},
    {"template_nothing",
     [](json& f) {
       f["post_processor"] = {{"type", "TemplateProcessing"}};
     },
     "\"single\", a list"},
    {"template_twice",
     [](json& f) {
       const json text = {{"Sequence", {{"id", "A"}}}};
       f["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {text, text}}};
     },
     "the sequence \"A\" once"},
    {"two_templates",
     [](json& f) {
       const json bert = {{"type", "BertProcessing"}, {"cls", {"a", 1}}, {"sep", {"b", 2}}};
       f["post_processor"] = {{"type", "Sequence"}, {"processors", {bert, bert}}};
     },
     "more than one template"},
    {"template_unknown",
     [](json& f) {
       f["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", {{{"SpecialToken", {{"id", "<s>"}}}}}}};
     },
     "lacks \"<s>\""},
    {"roberta_without_id",
     [](json& f) {
       f["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"<s>"}}};
     },
     "\"cls\" must be a token and its id"},
    {"truncation",
     [](json& f) {
       f["truncation"] = {{"max_length", 1}};
     },
     ""},
    {"unknown_key",
     [](json& f) {
       f["future"] = {1, 2};
     },
     ""},
};

const Change kLists[] = {
    {"vocab_missing", [](json& f) { f["model"].erase("vocab"); }, "\"vocab\" is missing"},
    {"vocab_list", [](json& f) { vocab(f) = {"a"}; }, "\"vocab\" is missing or not an object"},
    {"vocab_empty", [](json& f) { vocab(f) = json::object(); }, "merge 1 needs token"},
    {"vocab_lacks_a_byte",
     [](json& f) {
       const int id = vocab(f)["!"];
       vocab(f).erase("!");
       vocab(f)["new"] = id;
     },
     ""},
    {"id_negative", [](json& f) { vocab(f)["a"] = -1; }, "\"a\" the id -1"},
    {"id_huge", [](json& f) { vocab(f)["a"] = 9223372036854775807; }, "the id 9223372036854775807"},
    {"id_beyond_int64", [](json& f) { vocab(f)["a"] = 18446744073709551615U; },
     "not a whole number"},
    {"id_fraction", [](json& f) { vocab(f)["a"] = 1.5; }, "\"a\" is not a whole number"},
    {"id_text", [](json& f) { vocab(f)["a"] = "1"; }, "not a whole number"},
    {"id_null", [](json& f) { vocab(f)["a"] = nullptr; }, "not a whole number"},
    {"id_list", [](json& f) { vocab(f)["a"] = {1}; }, "not a whole number"},
    {"id_twice", [](json& f) { vocab(f)["a"] = vocab(f)["b"]; }, "which another token has already"},
    {"id_gap", [](json& f) { vocab(f)["new"] = 5000, added(f) = json::array(); }, ""},
    {"id_too_high", [](json& f) { vocab(f)["new"] = 4194304; }, "\"new\" the id 4194304"},
    {"merges_missing", [](json& f) { f["model"].erase("merges"); }, "\"merges\" is missing"},
    {"merges_object", [](json& f) { merges(f) = json::object(); }, "\"merges\" is missing"},
    {"merges_none", [](json& f) { merges(f) = json::array(); }, ""},
    {"merges_as_text",
     [](json& f) {
       merges(f) = {"#version: 0.2", "a b"};
     },
     "needs token \"ab\""},
    {"merge_unknown_left",
     [](json& f) {
       merges(f)[2] = {"xyz", "a"};
     },
     "merge 3 needs token \"xyz\""},
    {"merge_unknown_right", [](json& f) { merges(f)[2] = "a xyz"; }, "merge 3 needs token \"xyz\""},
    {"merge_one_token", [](json& f) { merges(f)[1] = "a"; },
     "merge 2 is \"a\"; expected two tokens"},
    {"merge_three_tokens", [](json& f) { merges(f)[1] = "a b c"; }, "expected two tokens"},
    {"merge_number", [](json& f) { merges(f)[1] = 7; }, "merge 2 is neither"},
    {"merge_null", [](json& f) { merges(f)[1] = nullptr; }, "merge 2 is neither"},
    {"merge_pair_of_one", [](json& f) { merges(f)[1] = {"a"}; }, "merge 2 is not a pair"},
    {"merge_pair_of_three",
     [](json& f) {
       merges(f)[1] = {"a", "b", "c"};
     },
     "merge 2 is not a pair"},
    {"merge_pair_of_numbers",
     [](json& f) {
       merges(f)[1] = {1, 2};
     },
     "merge 2 is not a pair"},
    {"merge_twice", [](json& f) { merges(f).push_back(merges(f)[0]); }, ""},
};

const Change kAdded[] = {
    {"missing", [](json& f) { f.erase("added_tokens"); }, ""},
    {"object", [](json& f) { added(f) = json::object(); }, "\"added_tokens\" must be a list"},
    {"number", [](json& f) { added(f)[1] = 5; }, "added token 2 must be a JSON object"},
    {"id_missing", [](json& f) { added(f)[0].erase("id"); }, "added token 1 has no \"id\""},
    {"id_negative", [](json& f) { added(f)[0]["id"] = -5; }, "\"id\" must be a whole number"},
    {"id_huge", [](json& f) { added(f)[0]["id"] = 4294967296; }, "\"id\" must be a whole number"},
    {"id_elsewhere", [](json& f) { added(f).back()["id"] = 100000; },
     "has the id 100000; expected"},
    {"gap", [](json& f) { added(f).erase(3); }, "its place in the vocabulary"},
    {"content_missing", [](json& f) { added(f)[0].erase("content"); }, "has no \"content\""},
    {"content_number", [](json& f) { added(f)[0]["content"] = 1; }, "\"content\" must be a string"},
    {"content_empty", [](json& f) { added(f).back()["content"] = ""; }, ""},
    {"flag_text", [](json& f) { added(f)[0]["lstrip"] = "no"; },
     "\"lstrip\" must be true or false"},
    {"flags_missing", [](json& f) { added(f)[0].erase("lstrip"); }, ""},
    {"twice", [](json& f) { added(f).push_back(added(f)[0]); }, ""},
};

const auto kChangeName = [](const auto& one) { return std::string(one.param.name); };
INSTANTIATE_TEST_SUITE_P(Structure, TokenizerJson, testing::ValuesIn(kStructure), kChangeName);
INSTANTIATE_TEST_SUITE_P(Lists, TokenizerJson, testing::ValuesIn(kLists), kChangeName);
INSTANTIATE_TEST_SUITE_P(Added, TokenizerJson, testing::ValuesIn(kAdded), kChangeName);

// Lists of these names elsewhere in the file are not those of the model.
TEST(TokenizerJsonOrder, MergesAreFoundWhereverTheyAre) {
  const json file = json::parse(read_data("small/tokenizer.json"));
  const auto ids = load_files({{"tokenizer.json", file.dump()}})
                       .encode("pescadores do mar", Tokenizer::Added::kRecognise);
  json rest = file;
  rest.erase("model");
  json model = file["model"];
  model.erase("merges");
  std::string text = rest.dump();
  text.back() = ',';
  const std::string vocabulary_first = model.dump().substr(0, model.dump().size() - 1) +
                                       ",\"merges\":" + file["model"]["merges"].dump() + "}}";
  for (const std::string decoy :
       {"", "\"x\":{\"merges\":[[\"a\",\"b\"]]},", "\"merges\":7,", "\"merges\":[\"a b\", 1],"}) {
    const FileMap files = {
        {"tokenizer.json", "{" + decoy + text.substr(1) + "\"model\":" + vocabulary_first}};
    EXPECT_EQ(load_files(files).encode("pescadores do mar", Tokenizer::Added::kRecognise), ids)
        << decoy;
  }
}

}  // namespace
}  // namespace aira
