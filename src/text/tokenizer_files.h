// From the files of a model to the parts of a tokenizer, everything checked: tokenizer.json as the
// `tokenizers` library writes it, or the older vocab.json + merges.txt with its companions.
#pragma once

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "aira/model_files.h"
#include "aira/tokenizer.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/vocabulary.h"

namespace aira {

/// Keys of tokens with a role, in the order in which transformers adds them to a vocabulary.
inline constexpr std::array kRoleKeys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

struct TokenizerConfig {
  std::map<std::string, AddedToken> roles;  // by key
  std::string file;                         // of the roles, for messages
  std::vector<AddedToken> extra;            // additional_special_tokens, extra_special_tokens
  std::vector<AddedToken> added;            // added_tokens_decoder, else added_tokens.json; by id
  std::string added_file;
  bool add_prefix_space = false;
  std::string chat_template;
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
  std::vector<std::int32_t> prefix, suffix;  // what the tokenizer's own template puts around a text
  std::string chat_template;
};

/// Throws Error that names the file and what is wrong with it, or what it asks for that this
/// program does not support.
TokenizerParts read_tokenizer_files(const ModelFiles& files);

/// What tokenizer.json says; its `added` tokens have the ids that the file gives them, and are not
/// in the vocabulary yet.
TokenizerParts read_tokenizer_json(const File& file);

/// Reads "TOKEN": ID, ... behind an opening brace at byte `at` of `text`, and moves `at` to the
/// closing one. Throws Error that begins with `where`.
TokenList read_tokens(std::string_view text, std::size_t& at, const std::string& where);

/// The same for merges, "LEFT RIGHT" or ["LEFT", "RIGHT"] each, behind a bracket: two texts each.
Texts read_merges(std::string_view text, std::size_t& at, const std::string& where);

/// Adds the two parts of the merge "LEFT RIGHT"; false when `line` is not two tokens with a space
/// between.
bool add_merge(std::string_view line, Texts& merges);

/// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json, as far as they
/// exist. Throws Error.
TokenizerConfig read_tokenizer_config(const ModelFiles& files);

/// An object with "content" and the flags of an added token. Throws Error that begins with `where`.
AddedToken read_added_token(const nlohmann::json& value, const std::string& where);

}  // namespace aira
