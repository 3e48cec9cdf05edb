// tokenizer_config.json, special_tokens_map.json and added_tokens.json: which tokens play a role,
// and the added tokens of folders without tokenizer.json.
#include <algorithm>
#include <charconv>
#include <limits>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr IntegerRange kIds{0, std::numeric_limits<std::int32_t>::max()};

/// A token with a role: a string, or an object with flags. It is special either way.
AddedToken read_special(const json& value, const std::string& where) {
  if (!value.is_string() && !value.is_object()) {
    throw Error(where + " must be a string or an object with \"content\".");
  }
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else {
    token = read_added_token(value, where);
  }
  token.special = true;
  return token;
}

void read_roles(const json& root, const std::string& file, TokenizerConfig& config) {
  const JsonObject object(root, file);
  for (std::size_t i = 0; i < kRoles; ++i) {
    const char* key = key_of(static_cast<Role>(i));
    const json* value = object.find(key);
    if (value == nullptr || config.roles[i]) continue;
    config.roles[i] = read_special(*value, file + ": " + quote(key));
    if (config.file.empty()) config.file = file;
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json* value = object.find(key);
    // extra_special_tokens may also be an object that names further roles; none of them is used.
    if (value == nullptr || value->is_object()) continue;
    if (!value->is_array()) object.fail(key, "a list of tokens", *value);
    for (const json& token : *value) {
      config.extra.push_back(read_special(token, file + ": each of " + quote(key)));
    }
  }
}

std::int32_t read_id(const std::string& text, const std::string& where) {
  std::int32_t id = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc() || stop != end || id < 0) {
    throw Error(where + " must have token ids as keys, but has " + quote(text) + ".");
  }
  return id;
}

void read_decoder(const json& value, const std::string& file, TokenizerConfig& config) {
  const std::string where = file + ": \"added_tokens_decoder\"";
  if (!value.is_object()) throw Error(where + " must be an object.");
  for (const auto& [key, token] : value.items()) {
    const std::int32_t id = read_id(key, where);
    config.added.push_back({read_added_token(token, where + ", id " + key), id});
  }
  config.added_file = file;
}

/// added_tokens.json: {"content": id}. It has no flags: a token with a role is special.
void read_added_file(const File& file, TokenizerConfig& config) {
  config.added_file = printable(file.path);
  const json root = parse_json(file.text(), config.added_file);
  const JsonObject object(root, config.added_file);
  const auto has_role = [&](const std::string& content) {
    const auto same = [&](const AddedToken& token) { return token.content == content; };
    return std::any_of(config.extra.begin(), config.extra.end(), same) ||
           std::any_of(config.roles.begin(), config.roles.end(),
                       [&](const auto& role) { return role && same(*role); });
  };
  for (const auto& [content, value] : root.items()) {
    const auto id = object.integer(content, kIds);
    if (!id) object.fail(content, "a token id", value);
    AddedToken token;
    token.content = content;
    token.special = has_role(content);
    token.normalized = !token.special;
    config.added.push_back({token, static_cast<std::int32_t>(*id)});
  }
}

}  // namespace

const char* key_of(Role role) {
  constexpr std::array<const char*, kRoles> kKeys = {
      "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
  return kKeys[static_cast<std::size_t>(role)];
}

AddedToken read_added_token(const json& value, const std::string& where) {
  const JsonObject object(value, where);
  AddedToken token;
  const auto content = object.text("content");
  if (!content) throw Error(where + " has no \"content\".");
  token.content = *content;
  token.single_word = object.boolean("single_word").value_or(false);
  token.lstrip = object.boolean("lstrip").value_or(false);
  token.rstrip = object.boolean("rstrip").value_or(false);
  token.special = object.boolean("special").value_or(false);
  token.normalized = object.boolean("normalized").value_or(!token.special);
  return token;
}

TokenizerConfig read_tokenizer_config(const ModelFiles& files) {
  TokenizerConfig config;
  if (const auto file = files.find("tokenizer_config.json")) {
    const std::string where = printable(file->path);
    const json root = parse_json(file->text(), where);
    read_roles(root, where, config);
    const JsonObject object(root, where);
    config.add_prefix_space = object.boolean("add_prefix_space").value_or(false);
    if (const json* value = object.find("added_tokens_decoder")) {
      read_decoder(*value, where, config);
    }
  }
  if (const auto file = files.find("special_tokens_map.json")) {
    const std::string where = printable(file->path);
    read_roles(parse_json(file->text(), where), where, config);
  }
  if (config.added_file.empty()) {
    if (const auto file = files.find("added_tokens.json")) read_added_file(*file, config);
  }
  std::stable_sort(config.added.begin(), config.added.end(),
                   [](const DeclaredToken& a, const DeclaredToken& b) { return a.id < b.id; });
  return config;
}

}  // namespace aira
