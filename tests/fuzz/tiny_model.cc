#include "tiny_model.h"

#include <nlohmann/json.hpp>
#include <random>

#include "model/model.h"
#include "model_fixtures.h"
#include "text/vocabulary.h"

namespace aira::fuzz {
namespace {

using nlohmann::ordered_json;

std::string tiny_config() {
  return ordered_json({{"model_type", "gpt2"},
                       {"n_layer", 1},
                       {"n_embd", 8},
                       {"n_head", 2},
                       {"n_inner", 8},
                       {"n_positions", kTinyContext},
                       {"vocab_size", kTinyVocab},
                       {"eos_token_id", 1}})
      .dump();
}

/// Random numbers, small enough for several tokens to be likely.
std::string tiny_weights() {
  Model model;
  model.config = read_model_config(memory_files({{"config.json", tiny_config()}}));
  ordered_json header = ordered_json::object();
  std::string data;
  std::mt19937 random(1);
  for (const Parameter& parameter : list_parameters(model, false)) {
    const std::size_t begin = data.size();
    for (std::int64_t i = 0; i < parameter.stored.size(); ++i) {
      const float value = static_cast<float>(random() % 2001) / 1000 - 1;
      data.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    header[parameter.stored.name] = {{"dtype", "F32"},
                                     {"shape", parameter.stored.shape},
                                     {"data_offsets", {begin, data.size()}}};
  }
  return safetensors(header.dump(), data);
}

std::string tiny_vocabulary() {
  ordered_json vocabulary;
  const auto add = [&](const std::string& token) { vocabulary.emplace(token, vocabulary.size()); };
  for (const char* token :
       {"<|startofinstruction|>", "<|endofinstruction|>", "<|endofcompletion|>", "<|endoftext|>"}) {
    add(token);
  }
  for (const char letter : std::string(" \n,.?!abcdefghijklmnopqrstuvwx\xC3\xA3\xA9\xE2\x80")) {
    add(letters_of(std::string(1, letter)));
  }
  for (const char* token : {"ab", " a", "abab", " abab", "\n\n", "ca"}) add(letters_of(token));
  while (vocabulary.size() < static_cast<std::size_t>(kTinyVocab)) {
    add("\xC4\x80" + std::to_string(vocabulary.size()));
  }
  return vocabulary.dump();
}

}  // namespace

const std::map<std::string, std::string>& tiny_model() {
  static const std::map<std::string, std::string> files = {
      {"config.json", tiny_config()},
      {"model.safetensors", tiny_weights()},
      {"vocab.json", tiny_vocabulary()},
      {"merges.txt",
       "#version: 0.2\na b\nab ab\n\xC4\xA0 a\n\xC4\xA0 abab\n\xC4\x8A \xC4\x8A\nc a\n"},
      {"tokenizer_config.json", R"({"bos_token": null, "eos_token": null, "unk_token": null})"},
      {"added_tokens.json", R"({"<|startofinstruction|>": 0, "<|endofinstruction|>": 1,
                                "<|endofcompletion|>": 2, "<|endoftext|>": 3})"},
  };
  return files;
}

ModelFiles tiny_model_files() { return memory_files(tiny_model()); }

std::string tiny_model_folder() {
  static const TemporaryFolder folder;
  for (const auto& [name, content] : tiny_model()) {
    if (!std::filesystem::exists(folder.path(name))) folder.write(name, content);
  }
  return folder.path();
}

}  // namespace aira::fuzz
