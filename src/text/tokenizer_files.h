// From the files of a model to the parts of a tokenizer, everything checked: tokenizer.json as the
// `tokenizers` library writes it, or the older vocab.json + merges.txt with its companions.
#pragma once

#include <string>
#include <vector>

#include "aira/model_files.h"
#include "aira/tokenizer.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

namespace aira {

struct TokenizerParts {
  Vocabulary vocabulary;          // the model's tokens, then the added ones
  std::int32_t model_tokens = 0;  // how many of them are the model's
  Bpe bpe;
  std::vector<AddedToken> added;
  bool add_prefix_space = false;
  bool use_regex = true;
  bool ignore_merges = false;
  Tokenizer::Roles roles;
};

/// Throws Error that names the file and what is wrong with it, or what it asks for that this
/// program does not support.
TokenizerParts read_tokenizer_files(const ModelFiles& files);

/// What tokenizer.json says; `added` gets its added tokens, which are not in the vocabulary yet.
TokenizerParts read_tokenizer_json(const File& file, std::vector<DeclaredToken>& added);

}  // namespace aira
