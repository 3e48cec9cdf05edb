// tokenizer_config.json, special_tokens_map.json and added_tokens.json: which tokens play a role,
// and the added tokens of folders without tokenizer.json.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "aira/model_files.h"
#include "text/added_tokens.h"

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

/// Reads what there is; any of the files may be missing. Throws Error.
TokenizerConfig read_tokenizer_config(const ModelFiles& files);

/// An object with "content" and the flags of an added token. Throws Error that begins with `where`.
AddedToken read_added_token(const nlohmann::json& value, const std::string& where);

}  // namespace aira
