// A model so small that a token takes microseconds, with a tokenizer of the letters that texts of
// fuzzers need: two byte letters, merges, white space, markers.
#pragma once

#include <map>
#include <string>

#include "aira/model_files.h"

namespace aira::fuzz {

inline constexpr std::int64_t kTinyContext = 72;  // three pages of the KV cache
inline constexpr std::int64_t kTinyVocab = 48;

/// Its files by name.
const std::map<std::string, std::string>& tiny_model();
ModelFiles tiny_model_files();
/// A folder that holds them, as long as the process lives.
std::string tiny_model_folder();

}  // namespace aira::fuzz
