// A small random checkpoint with a vocabulary of single bytes and, if wanted, Aira's three markers:
// texts for tests of generation. Model a of tests/data/models: 509 ids, context 67, end ids 2
// and 3.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "model_fixtures.h"
#include "text/vocabulary.h"

namespace aira {

inline std::string byte_model_folder() { return std::string(AIRA_TEST_DATA) + "/models/a"; }
constexpr std::int32_t kByteModelContext = 67;
constexpr std::int32_t kByteModelFirstByte = 100;  // id of byte 0
constexpr std::int32_t kByteModelStart = 500;
constexpr std::int32_t kByteModelEnd = 501;
constexpr std::int32_t kByteModelCompletionEnd = 502;

inline std::string byte_vocabulary(bool markers) {
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) {
    vocab[letters_of(std::string(1, static_cast<char>(byte)))] = kByteModelFirstByte + byte;
  }
  // The rest stands for letters that no text here has.
  for (std::int32_t id = 0; id < kByteModelStart; ++id) {
    if (id < kByteModelFirstByte || id >= kByteModelFirstByte + 256) {
      vocab["Ā" + std::to_string(id)] = id;
    }
  }
  if (markers) {
    vocab["<|startofinstruction|>"] = kByteModelStart;
    vocab["<|endofinstruction|>"] = kByteModelEnd;
    vocab["<|endofcompletion|>"] = kByteModelCompletionEnd;
  }
  return vocab.dump();
}

inline ModelFiles byte_model(bool markers) {
  const ModelFiles model = ModelFiles::from_folder(byte_model_folder());
  return ModelFiles::from_memory("test", [=](const std::string& name) -> std::optional<File> {
    if (name == "vocab.json") return memory_file(name, byte_vocabulary(markers));
    if (name == "tokenizer_config.json") {  // else each would be <|endoftext|>
      return memory_file(name, R"({"bos_token": null, "eos_token": null, "unk_token": null})");
    }
    if (name == "merges.txt") return memory_file(name, "#version: 0.2\n");
    if (name == "added_tokens.json") {
      return memory_file(name, markers ? R"({"<|startofinstruction|>": 500,
                                            "<|endofinstruction|>": 501,
                                            "<|endofcompletion|>": 502})"
                                       : "{}");
    }
    return model.find(name);
  });
}

}  // namespace aira
