// From the files of a model to the parts of a tokenizer, everything checked: tokenizer.json as the
// `tokenizers` library writes it, or the older vocab.json + merges.txt with its companions.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aira/model_files.h"
#include "aira/tokenizer.h"
#include "base/json.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/pretokenizer.h"
#include "text/vocabulary.h"

namespace aira {

inline constexpr IntegerRange kTokenIds{0, std::numeric_limits<std::int32_t>::max()};

/// Keys of tokens with a role, in the order in which transformers adds them to a vocabulary.
inline constexpr std::array kRoleKeys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

/// tokenizer_config.json and its companions, as transformers reads them.
struct TokenizerConfig {
  /// Whether the class is GPT-2's, which builds its own pipeline: of a tokenizer.json it takes
  /// vocabulary, merges and post-processor alone.
  bool is_gpt2 = true;
  std::string file;                                        // of the roles, for messages
  std::map<std::string, std::optional<AddedToken>> roles;  // by key; nothing: null
  std::vector<AddedToken> named;                           // tokens under other keys than kRoleKeys
  std::vector<AddedToken> extra;  // additional_special_tokens, extra_special_tokens
  std::vector<AddedToken> added;  // added_tokens_decoder, else added_tokens.json; by id
  std::string added_file;
  bool has_decoder = false;  // then special_tokens_map.json and added_tokens.json are not read,
                             // nor, by GPT-2's class, "added_tokens" of tokenizer.json
  bool add_prefix_space = false, add_bos = false, add_eos = false, split_special = false;
  std::string chat_template;
};

enum class Decoder : std::uint8_t {
  kBytes,   // letters stand for bytes
  kJoined,  // tokens are text
  kSpaced,  // the same with a space between any two: a tokenizer.json without decoder
};

struct TokenizerParts {
  Vocabulary vocabulary;  // the model's tokens, then the added ones
  Bpe bpe;
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer{false};
  Decoder decoder = Decoder::kBytes;
  bool ignore_merges = false;
  bool split_special = false;  // `tokenizer(text)` takes special tokens as text
  Tokenizer::Roles roles;
  std::vector<std::int32_t> prefix, suffix;  // what the tokenizer's own template puts around a text
  std::string chat_template;
};

/// Throws Error that names the file and what is wrong with it, or what it asks for that this
/// program does not support.
TokenizerParts read_tokenizer_files(const ModelFiles& files);

/// What tokenizer.json says to the class that `is_gpt2` says; its `added` tokens have the ids that
/// the file gives them, and are not in the vocabulary yet.
TokenizerParts read_tokenizer_json(const File& file, bool is_gpt2);

/// "pattern" of a component of a tokenizer.json. Throws Error that begins with `where`.
Pattern read_pattern(const JsonObject& component, const std::string& where);

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
