// From the files of a model to the parts of a tokenizer, everything checked: tokenizer.json as the
// `tokenizers` library writes it, or the older vocab.json + merges.txt with its companions.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aira/model_files.h"
#include "aira/tokenizer.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/vocabulary.h"

namespace aira {

/// An added token and the id that its file gives it, if it does.
struct DeclaredToken {
  AddedToken token;
  std::optional<std::int32_t> id;
};

/// In the order in which transformers adds them to a vocabulary.
enum class Role : std::uint8_t { kBos, kEos, kUnk, kSep, kPad, kCls, kMask };
inline constexpr std::size_t kRoles = 7;

/// The key of `role` in the configuration files, e.g. "bos_token".
const char* key_of(Role role);

struct TokenizerConfig {
  std::array<std::optional<AddedToken>, kRoles> roles;
  std::string file;                  // of the roles, for messages
  std::vector<AddedToken> extra;     // additional_special_tokens, extra_special_tokens
  std::vector<DeclaredToken> added;  // added_tokens_decoder, else added_tokens.json; by id
  std::string added_file;
  bool add_prefix_space = false;

  const std::optional<AddedToken>& role(Role role) const {
    return roles[static_cast<std::size_t>(role)];
  }
};

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

/// The vocabulary of a vocab.json.
Vocabulary read_vocabulary(const File& file);

/// Adds the merge "a b"; false when `line` is not two tokens with a space between.
bool add_merge(std::string_view line, MergeList& merges);

/// What tokenizer.json says; `added` gets its added tokens, which are not in the vocabulary yet.
TokenizerParts read_tokenizer_json(const File& file, std::vector<DeclaredToken>& added);

/// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json, as far as they
/// exist. Throws Error.
TokenizerConfig read_tokenizer_config(const ModelFiles& files);

/// An object with "content" and the flags of an added token. Throws Error that begins with `where`.
AddedToken read_added_token(const nlohmann::json& value, const std::string& where);

}  // namespace aira
