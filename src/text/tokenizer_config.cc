// tokenizer_config.json, special_tokens_map.json and added_tokens.json: which tokens play a role,
// and the added tokens of folders without tokenizer.json.
#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

using nlohmann::json;

/// A token with a role: a string, or an object with flags. It is special either way.
AddedToken read_special(const json& value, const std::string& where) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else if (value.is_object()) {
    token = read_added_token(value, where);
    token.normalized &= value.contains("normalized");
  } else {
    throw Error("[E370] {} must be a string or an object with \"content\".", {where});
  }
  token.special = true;
  return token;
}

/// Tokens with and without a role in one file; they take the place of those of a file before it.
void read_special_tokens(const JsonObject& object, const json& root, const std::string& file,
                         TokenizerConfig& config) {
  for (const auto& [key, value] : root.items()) {
    const bool is_role = std::find(kRoleKeys.begin(), kRoleKeys.end(), key) != kRoleKeys.end();
    if (is_role) {
      config.roles[key] = value.is_null()
                              ? std::nullopt
                              : std::optional(read_special(value, file + ": " + quote(key)));
      config.file = file;
    } else if (key.ends_with("_token") && (value.is_string() || value.is_object())) {
      config.named.push_back(read_special(value, file + ": " + quote(key)));
    }
  }
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const json* value = object.find(key);
    const bool is_old = key == std::string_view("additional_special_tokens");
    if (value == nullptr || (is_old && !config.extra.empty())) continue;
    if (!value->is_array() && !value->is_object()) {
      object.fail(key, message("a list of tokens"), *value);
    }
    // The values of an object: their keys are names of further roles.
    std::vector<AddedToken>& tokens = value->is_object() ? config.named : config.extra;
    for (const json& token : *value) {
      tokens.push_back(read_special(token, message("{}: each of {}", {file, quote(key)})));
    }
  }
}

/// "added_tokens_decoder": {"ID": {"content", ...}}.
void read_decoder(const json& value, const std::string& file, TokenizerConfig& config) {
  const std::string where = file + ": \"added_tokens_decoder\"";
  if (!value.is_object()) throw Error("[E371] {} must be an object.", {where});
  for (const auto& [key, flags] : value.items()) {
    std::int32_t id = -1;
    const char* end = key.data() + key.size();
    const auto [stop, error] = std::from_chars(key.data(), end, id);
    if (error != std::errc() || stop != end || id < 0) {
      throw Error("[E372] {} must have token ids as keys, but has {}.", {where, quote(key)});
    }
    config.added.push_back(read_added_token(flags, message("{}, id {}", {where, key})));
    config.added.back().id = id;
  }
  config.added_file = file;
  config.has_decoder = true;
}

/// "chat_template": a text, or a list of {"name", "template"} of which "default" counts.
std::string read_chat_template(const JsonObject& object, const std::string& file) {
  const json* value = object.find("chat_template");
  if (value == nullptr || !value->is_array()) return object.text("chat_template").value_or("");
  std::string source;
  for (const json& entry : *value) {
    const JsonObject named(entry, message("{}: each of {}", {file, "\"chat_template\""}));
    if (named.text("name") == "default") source = named.text("template").value_or("");
  }
  return source;
}

/// added_tokens.json: {"content": id}. It has no flags: a token with a role is special.
void read_added_file(const File& file, TokenizerConfig& config) {
  config.added_file = printable(file.path);
  const json root = parse_python_json(file.text(), config.added_file);
  const JsonObject object(root, config.added_file);
  std::set<std::string_view> special;
  for (const AddedToken& token : config.extra) special.insert(token.content);
  for (const auto& [key, role] : config.roles) {
    if (role) special.insert(role->content);
  }
  for (const auto& [content, value] : root.items()) {
    const auto id = object.integer(content, kTokenIds);
    if (!id) object.fail(content, message("a token id"), value);
    AddedToken token;
    token.content = content;
    token.id = static_cast<std::int32_t>(*id);
    token.special = special.contains(content);
    token.normalized = !token.special;
    config.added.push_back(std::move(token));
  }
}

/// What config.json says in place of tokenizer_config.json; empty: nothing. Where config.json is
/// damaged the model's own reader says so.
std::string class_of_model(const ModelFiles& files) {
  const auto file = files.find("config.json");
  if (!file) return "";
  try {
    const json root = parse_python_json(file->text(), printable(file->path));
    return JsonObject(root, printable(file->path)).text("tokenizer_class").value_or("");
  } catch (const Error&) {
    return "";
  }
}

/// Whether `name` is GPT-2's class of transformers, or the one that follows tokenizer.json.
bool is_gpt2_class(std::string name, const std::string& where) {
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name.empty() || name == "GPT2Tokenizer") return true;
  if (name == "PreTrainedTokenizer" || name == "TokenizersBackend") return false;
  throw Error(
      "[E373] {}: the class {} of \"tokenizer_class\" is not supported; expected "
      "\"GPT2Tokenizer\", or \"PreTrainedTokenizerFast\", which follows tokenizer.json.",
      {where, quote(name)});
}

}  // namespace

AddedToken read_added_token(const json& value, const std::string& where) {
  const JsonObject object(value, where);
  AddedToken token;
  const auto content = object.text("content");
  if (!content) throw Error("[E354] {} has no {}.", {where, "\"content\""});
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
  std::string class_place = printable(files.place());
  std::optional<std::string> class_here;
  if (const auto file = files.find("tokenizer_config.json")) {
    const std::string where = printable(file->path);
    const json root = parse_python_json(file->text(), where);
    const JsonObject object(root, where);
    read_special_tokens(object, root, where, config);
    class_here = object.text("tokenizer_class");
    if (class_here) class_place = where;
    const auto flag = [&](const char* key) { return object.boolean(key).value_or(false); };
    config.add_prefix_space = flag("add_prefix_space");
    config.add_bos = flag("add_bos_token");
    config.add_eos = flag("add_eos_token");
    config.split_special = flag("split_special_tokens");
    config.chat_template = read_chat_template(object, where);
    if (const json* value = object.find("added_tokens_decoder")) {
      read_decoder(*value, where, config);
    }
  }
  if (!class_here) class_here = class_of_model(files);
  config.is_gpt2 = is_gpt2_class(*class_here, class_place);
  if (const auto file = files.find("chat_template.jinja")) config.chat_template = file->text();
  if (!config.has_decoder) {
    if (const auto file = files.find("special_tokens_map.json")) {
      const std::string where = printable(file->path);
      const json root = parse_python_json(file->text(), where);
      read_special_tokens(JsonObject(root, where), root, where, config);
    }
    if (const auto file = files.find("added_tokens.json")) read_added_file(*file, config);
  }
  std::stable_sort(config.added.begin(), config.added.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return config;
}

}  // namespace aira
