// tokenizer.json, https://huggingface.co/docs/tokenizers: accepted is what byte-level BPE models
// use; whatever else would change ids is refused by name. "truncation" and "padding" are ignored
// (this program cuts nothing silently), and so is "post_processor" (it only acts with
// add_special_tokens=True).
#include <limits>
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

using nlohmann::json;

/// The "type" of a component such as the decoder; empty when there is none.
std::string type_of(const JsonObject& settings, const std::string& key, const std::string& where) {
  const json* value = settings.find(key);
  if (value == nullptr) return "";
  const auto type = JsonObject(*value, where + ": " + quote(key)).text("type");
  if (!type) throw Error(where + ": " + quote(key) + " has no \"type\".");
  return *type;
}

void check_model(const JsonObject& model, const std::string& where) {
  const std::string type = model.text("type").value_or("BPE");
  if (type != "BPE") {
    throw Error(where + " holds a " + quote(type) + " model; only \"BPE\" is supported.");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = model.text(key).value_or("");
    if (!value.empty()) {
      throw Error(where + ": " + quote(key) + " is " + quote(value) +
                  ", which is not supported; expected none.");
    }
  }
  if (const json* dropout = model.find("dropout"); dropout != nullptr && *dropout != 0) {
    throw Error(where + ": \"dropout\" is set, which would make token ids random.");
  }
}

void check_components(const JsonObject& settings, const std::string& where) {
  if (const std::string type = type_of(settings, "normalizer", where); !type.empty()) {
    throw Error(where + ": the normalizer " + quote(type) + " is not supported; expected none.");
  }
  for (const char* key : {"pre_tokenizer", "decoder"}) {
    const std::string type = type_of(settings, key, where);
    if (type == "ByteLevel") continue;
    throw Error(where + ": " + quote(key) + " is " + (type.empty() ? "not set" : quote(type)) +
                ", which is not supported; expected \"ByteLevel\".");
  }
}

std::vector<AddedToken> read_added(const JsonObject& settings, const std::string& where) {
  std::vector<AddedToken> tokens;
  const json* list = settings.find("added_tokens");
  if (list == nullptr) return tokens;
  if (!list->is_array()) settings.fail("added_tokens", "a list", *list);
  constexpr IntegerRange kIds{0, std::numeric_limits<std::int32_t>::max()};
  for (const json& value : *list) {
    const std::string place = where + ": added token " + std::to_string(tokens.size() + 1);
    const auto id = JsonObject(value, place).integer("id", kIds);
    if (!id) throw Error(place + " has no \"id\".");
    tokens.push_back(read_added_token(value, place));
    tokens.back().id = static_cast<std::int32_t>(*id);
  }
  return tokens;
}

}  // namespace

TokenizerParts read_tokenizer_json(const File& file) {
  const std::string where = printable(file.path);
  const std::string_view text = file.text();
  std::optional<TokenList> tokens;
  std::optional<Texts> merges;  // two each
  const json root = parse_json(text, where, [&](const auto& path, std::size_t at) {
    if (path.size() != 2 || path[0] != "model") return at;
    if (path[1] == "vocab" && text[at - 1] == '{') tokens = read_tokens(text, at, where);
    if (path[1] == "merges" && text[at - 1] == '[') merges = read_merges(text, at, where);
    return at;
  });
  const JsonObject settings(root, where);
  const json* found = settings.find("model");
  if (found == nullptr || !found->is_object()) {
    throw Error(where + ": \"model\" is missing or not an object.");
  }
  const JsonObject model(*found, where + ": \"model\"");
  check_model(model, where);
  if (!tokens) throw Error(where + ": \"vocab\" is missing or not an object.");
  if (!merges) throw Error(where + ": \"merges\" is missing or not a list.");
  check_components(settings, where);

  TokenizerParts parts;
  parts.added = read_added(settings, where);
  const JsonObject pre_tokenizer(*settings.find("pre_tokenizer"), where + ": \"pre_tokenizer\"");
  parts.add_prefix_space = pre_tokenizer.boolean("add_prefix_space").value_or(true);
  parts.use_regex = pre_tokenizer.boolean("use_regex").value_or(true);
  parts.ignore_merges = model.boolean("ignore_merges").value_or(false);
  parts.vocabulary = Vocabulary(*tokens, where);
  parts.model_tokens = parts.vocabulary.size();
  parts.bpe = Bpe(parts.vocabulary, *merges, where, where);
  return parts;
}

}  // namespace aira
