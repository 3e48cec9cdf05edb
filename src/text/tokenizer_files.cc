#include "text/tokenizer_files.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

TokenList read_vocab_json(const File& file) {
  const std::string where = printable(file.path);
  TokenList list;
  const auto read = [&](const auto& /*path*/, std::size_t at) {
    if (file.text()[at - 1] == '{') list = read_tokens(file.text(), at, where);
    return at;
  };
  static_cast<void>(
      JsonObject(parse_json(file.text(), where, read), where));  // throws when it is none
  return list;
}

Texts read_merges_txt(const File& file) {
  Texts merges;
  std::string_view rest = file.text();
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#version") || add_merge(line, merges)) continue;
    throw Error(printable(file.path) + ": line " + std::to_string(number) + " is " + quote(line) +
                "; expected two tokens with one space between.");
  }
  return merges;
}

/// Puts `tokens` into the vocabulary as `tokenizers` does: one that the vocabulary has keeps its
/// id, the others follow it in order. Then the ids must be those that `file` gives.
void add_tokens(std::vector<AddedToken> tokens, const std::string& file, TokenizerParts& parts) {
  parts.added.clear();
  std::map<std::int32_t, std::size_t> places;  // in parts.added, by id
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const std::int32_t declared = token.id;
    token.id = parts.vocabulary.find(token.content);
    if (token.id < 0) token.id = parts.vocabulary.append(token.content);
    if (declared >= 0 && declared != token.id) {
      throw Error(file + ": the added token " + quote(token.content) + " has the id " +
                  std::to_string(declared) + "; expected " + std::to_string(token.id) +
                  ", its place in the vocabulary.");
    }
    const auto [place, is_new] = places.emplace(token.id, parts.added.size());
    if (is_new) parts.added.emplace_back();
    parts.added[place->second] = std::move(token);
  }
}

/// Folders without tokenizer.json: what has a role becomes an added token, as in transformers.
std::vector<AddedToken> all_added(const TokenizerConfig& config) {
  std::vector<AddedToken> all = config.added;
  const auto add = [&all](const AddedToken& token) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const AddedToken& other) {
      return other.content == token.content;
    });
    if (same == all.end()) {
      all.push_back(token);
    } else {
      same->special = true;
    }
  };
  for (const char* key : kRoleKeys) {
    if (const auto role = config.roles.find(key); role != config.roles.end()) add(role->second);
  }
  for (const AddedToken& token : config.extra) add(token);
  return all;
}

std::optional<std::int32_t> id_of(const std::string& key, const TokenizerConfig& config,
                                  const Vocabulary& vocabulary) {
  const auto role = config.roles.find(key);
  if (role == config.roles.end()) return std::nullopt;
  const std::string& content = role->second.content;
  const std::int32_t id = vocabulary.find(content);
  if (id >= 0) return id;
  // Generation needs neither padding nor an unknown token.
  if (key == "pad_token" || key == "unk_token") return std::nullopt;
  throw Error(config.file + ": " + quote(key) + " is " + quote(content) +
              ", which the vocabulary does not have.");
}

void set_roles(const TokenizerConfig& config, TokenizerParts& parts) {
  const auto id = [&](const char* key) { return id_of(key, config, parts.vocabulary); };
  parts.roles = {.bos = id("bos_token"),
                 .sep = id("sep_token"),
                 .eos = id("eos_token"),
                 .pad = id("pad_token"),
                 .unk = id("unk_token")};
  for (AddedToken& token : parts.added) {
    for (const auto& [key, role] : config.roles) token.special |= role.content == token.content;
    // Some exports declare the dialogue's markers without a role and without the flag.
    for (const char* marker : {kStartMarker, kEndMarker, kCompletionEnd}) {
      token.special |= token.content == marker;
    }
  }
}

}  // namespace

TokenizerParts read_tokenizer_files(const ModelFiles& files) {
  const TokenizerConfig config = read_tokenizer_config(files);
  TokenizerParts parts;
  if (const auto file = files.find("tokenizer.json")) {
    parts = read_tokenizer_json(*file);
    add_tokens(std::move(parts.added), printable(file->path), parts);
  } else if (const auto vocabulary = files.find("vocab.json")) {
    const File merges = files.require("merges.txt");
    const std::string where = printable(vocabulary->path);
    parts.vocabulary = Vocabulary(read_vocab_json(*vocabulary), where);
    parts.model_tokens = parts.vocabulary.size();
    parts.bpe = Bpe(parts.vocabulary, read_merges_txt(merges), where, printable(merges.path));
    parts.add_prefix_space = config.add_prefix_space;
    add_tokens(all_added(config), config.added_file, parts);
  } else {
    throw Error(printable(files.place()) +
                " has no tokenizer: expected tokenizer.json, or vocab.json with merges.txt.");
  }
  set_roles(config, parts);
  parts.chat_template = config.chat_template;
  return parts;
}

}  // namespace aira
