#include "text/tokenizer_files.h"

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

MergeList read_merges_txt(const File& file) {
  const std::string where = printable(file.path);
  MergeList merges;
  merges.reserve(file.size);
  std::string_view rest = file.text();
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#version") || add_merge(line, merges)) continue;
    throw Error(where + ": line " + std::to_string(number) + " is " + quote(line) +
                "; expected two tokens with one space between.");
  }
  return merges;
}

/// Puts `tokens` into the vocabulary as `tokenizers` does: one that the vocabulary has keeps its
/// id, the others follow it in order. Then the ids must be those that the file gives.
void add_tokens(const std::vector<DeclaredToken>& tokens, const std::string& file,
                TokenizerParts& parts) {
  std::vector<std::int32_t> places;  // by id: index in parts.added, or -1
  for (const DeclaredToken& declared : tokens) {
    AddedToken token = declared.token;
    if (token.content.empty()) continue;
    token.id = parts.vocabulary.find(token.content);
    if (token.id < 0) token.id = parts.vocabulary.append(token.content);
    if (declared.id && *declared.id != token.id) {
      throw Error(file + ": the added token " + quote(token.content) + " has the id " +
                  std::to_string(*declared.id) + "; expected " + std::to_string(token.id) +
                  ", its place in the vocabulary.");
    }
    places.resize(static_cast<std::size_t>(parts.vocabulary.size()), -1);
    std::int32_t& place = places[static_cast<std::size_t>(token.id)];
    if (place >= 0) {
      parts.added[static_cast<std::size_t>(place)] = std::move(token);
    } else {
      place = static_cast<std::int32_t>(parts.added.size());
      parts.added.push_back(std::move(token));
    }
  }
}

/// Folders without tokenizer.json: what has a role becomes an added token, as in transformers.
std::vector<DeclaredToken> all_added(const TokenizerConfig& config) {
  std::vector<DeclaredToken> all = config.added;
  const auto add = [&all](const AddedToken& token) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const DeclaredToken& other) {
      return other.token.content == token.content;
    });
    if (same == all.end()) {
      all.push_back({token, std::nullopt});
    } else {
      same->token.special = true;
    }
  };
  for (const auto& role : config.roles) {
    if (role) add(*role);
  }
  for (const AddedToken& token : config.extra) add(token);
  return all;
}

std::optional<std::int32_t> id_of(Role role, const TokenizerConfig& config,
                                  const Vocabulary& vocabulary) {
  if (!config.role(role)) return std::nullopt;
  const std::string& content = config.role(role)->content;
  const std::int32_t id = vocabulary.find(content);
  if (id >= 0) return id;
  // Generation needs neither padding nor an unknown token.
  if (role == Role::kPad || role == Role::kUnk) return std::nullopt;
  throw Error(config.file + ": \"" + key_of(role) + "\" is " + quote(content) +
              ", which the vocabulary does not have.");
}

void set_roles(const TokenizerConfig& config, TokenizerParts& parts) {
  parts.roles.bos = id_of(Role::kBos, config, parts.vocabulary);
  parts.roles.sep = id_of(Role::kSep, config, parts.vocabulary);
  parts.roles.eos = id_of(Role::kEos, config, parts.vocabulary);
  parts.roles.pad = id_of(Role::kPad, config, parts.vocabulary);
  parts.roles.unk = id_of(Role::kUnk, config, parts.vocabulary);
  for (AddedToken& token : parts.added) {
    const auto plays = [&](const auto& role) { return role && role->content == token.content; };
    token.special |= std::any_of(config.roles.begin(), config.roles.end(), plays);
    // Some exports declare the dialogue's markers without a role and without the flag.
    for (const char* marker : {kStartMarker, kEndMarker, kCompletionEnd}) {
      token.special |= token.content == marker;
    }
  }
}

}  // namespace

bool add_merge(std::string_view line, MergeList& merges) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return false;
  }
  merges.add(line.substr(0, space), line.substr(space + 1));
  return true;
}

TokenizerParts read_tokenizer_files(const ModelFiles& files) {
  const TokenizerConfig config = read_tokenizer_config(files);
  TokenizerParts parts;
  if (const auto file = files.find("tokenizer.json")) {
    std::vector<DeclaredToken> added;
    parts = read_tokenizer_json(*file, added);
    add_tokens(added, printable(file->path), parts);
  } else {
    const auto vocabulary = files.find("vocab.json");
    if (!vocabulary) {
      throw Error(printable(files.place()) +
                  " has no tokenizer: expected tokenizer.json, or vocab.json with merges.txt.");
    }
    const File merges_file = files.require("merges.txt");
    auto merges = std::async([&] { return read_merges_txt(merges_file); });
    parts.vocabulary = read_vocabulary(*vocabulary);
    parts.model_tokens = parts.vocabulary.size();
    parts.bpe = Bpe(parts.vocabulary, merges.get(), printable(vocabulary->path),
                    printable(merges_file.path));
    parts.add_prefix_space = config.add_prefix_space;
    add_tokens(all_added(config), config.added_file, parts);
  }
  set_roles(config, parts);
  return parts;
}

}  // namespace aira
