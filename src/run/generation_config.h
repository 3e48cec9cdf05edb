// How a model's folder wants answers to be written: its generation_config.json, else what its
// config.json says of it, as transformers' `generate` takes them.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"
#include "run/request_options.h"

namespace aira {

struct GenerationConfig {
  /// What is asked where a request says nothing. eos_token_id is generation_config.json's alone.
  GenerateOptions options;
  RequestChanges said;             // by the file
  std::string file;                // "generation_config.json" or "config.json"
  std::vector<std::string> notes;  // a sentence about each thing that cannot be honoured
};

/// `config` is the folder's config.json. What the file does not say is as in transformers; but an
/// Aira has its model card's defaults (GenerateOptions') as long as the file does not say how
/// tokens are chosen, or for beam search does not mention it. Throws Error that names the file, the
/// key and what was expected, but not for what plays no part, such as a temperature without
/// do_sample.
GenerationConfig read_generation_config(const ModelFiles& files, const ModelConfig& config,
                                        bool is_aira);

}  // namespace aira
