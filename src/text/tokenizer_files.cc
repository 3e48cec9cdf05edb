#include "text/tokenizer_files.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
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
    throw Error("[E342] {}: line {} is {}; expected two tokens with one space between.",
                {printable(file.path), std::to_string(number), quote(line)});
  }
  return merges;
}

/// Puts `tokens` into the vocabulary as `tokenizers` does: one that the vocabulary has keeps its
/// id, the others follow it in order, and the last flags count. The ids must be those that `file`
/// gives.
void add_tokens(std::vector<AddedToken> tokens, const std::string& file, TokenizerParts& parts) {
  parts.added.clear();
  std::map<std::int32_t, std::size_t> places;  // in parts.added, by id
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const std::int32_t declared = token.id;
    token.id = parts.vocabulary.find(token.content);
    if (token.id < 0) token.id = parts.vocabulary.append(token.content);
    if (declared >= 0 && declared != token.id) {
      throw Error(
          "[E343] {}: the added token {} has the id {}; expected {}, its place in the vocabulary.",
          {file, quote(token.content), std::to_string(declared), std::to_string(token.id)});
    }
    const auto [place, is_new] = places.emplace(token.id, parts.added.size());
    if (is_new) parts.added.emplace_back();
    parts.added[place->second] = std::move(token);
  }
}

/// What transformers adds to the tokens that tokenizer.json has: those of `config`, then what has a
/// role or is special and is not among them.
std::vector<AddedToken> all_added(const TokenizerConfig& config, std::vector<AddedToken> all) {
  all.insert(all.end(), config.added.begin(), config.added.end());
  std::set<std::string> contents;
  for (const AddedToken& token : all) contents.insert(token.content);
  const auto add = [&](const AddedToken& token) {
    if (contents.insert(token.content).second) all.push_back(token);
  };
  for (const char* key : kRoleKeys) {
    const auto role = config.roles.find(key);
    if (role != config.roles.end() && role->second) add(*role->second);
  }
  for (const AddedToken& token : config.named) add(token);
  for (const AddedToken& token : config.extra) add(token);
  return all;
}

void set_roles(const TokenizerConfig& config, TokenizerParts& parts) {
  const auto id = [&](const char* key) -> std::optional<std::int32_t> {
    const auto role = config.roles.find(key);
    if (role == config.roles.end() || !role->second) return std::nullopt;
    const std::int32_t found = parts.vocabulary.find(role->second->content);
    return found >= 0 ? std::optional(found) : std::nullopt;  // an empty text has none
  };
  parts.roles = {.bos = id("bos_token"),
                 .sep = id("sep_token"),
                 .eos = id("eos_token"),
                 .pad = id("pad_token"),
                 .unk = id("unk_token")};
  for (AddedToken& token : parts.added) {
    for (const auto& [key, role] : config.roles) {
      token.special |= role && role->content == token.content;
    }
    // Some exports declare the dialogue's markers without a role and without the flag.
    for (const char* marker : {kStartMarker, kEndMarker, kCompletionEnd}) {
      token.special |= token.content == marker;
    }
  }
}

/// vocab.json and merges.txt, and the template that tokenizer_config.json describes.
TokenizerParts read_old_files(const ModelFiles& files, const File& vocabulary) {
  const File merges = files.require("merges.txt");
  TokenizerParts parts;
  parts.vocabulary = Vocabulary(read_vocab_json(vocabulary), printable(vocabulary.path));
  parts.bpe = Bpe(parts.vocabulary, read_merges_txt(merges), printable(merges.path));
  return parts;
}

}  // namespace

TokenizerParts read_tokenizer_files(const ModelFiles& files) {
  TokenizerConfig config = read_tokenizer_config(files);
  const auto file = files.find("tokenizer.json");
  const auto vocabulary = file ? std::nullopt : files.find("vocab.json");
  if (!file && !vocabulary) {
    throw Error(
        "[E344] {} has no tokenizer: expected tokenizer.json, or vocab.json with merges.txt.",
        {printable(files.place())});
  }
  config.is_gpt2 |= !file;
  if (config.is_gpt2) {
    for (const char* key : {"bos_token", "eos_token", "unk_token"}) {
      config.roles.try_emplace(key, AddedToken{.content = "<|endoftext|>", .special = true});
    }
  }
  TokenizerParts parts =
      file ? read_tokenizer_json(*file, config.is_gpt2) : read_old_files(files, *vocabulary);
  if (config.is_gpt2) parts.pre_tokenizer = PreTokenizer(config.add_prefix_space);
  if (config.is_gpt2 && config.has_decoder) parts.added.clear();
  const std::string& declared =
      config.added.empty() && file ? printable(file->path) : config.added_file;
  add_tokens(all_added(config, std::move(parts.added)), declared, parts);
  set_roles(config, parts);
  if (!file && config.add_bos && parts.roles.bos) parts.prefix = {*parts.roles.bos};
  if (!file && config.add_eos && parts.roles.eos) parts.suffix = {*parts.roles.eos};
  parts.split_special = config.split_special;
  parts.chat_template = std::move(config.chat_template);
  return parts;
}

}  // namespace aira
