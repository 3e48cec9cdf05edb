// tokenizer.json, https://huggingface.co/docs/tokenizers: accepted is what BPE models use; whatever
// else would change ids is refused by name. "truncation" and "padding" are ignored: this program
// cuts nothing silently.
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

using nlohmann::json;

/// The components that `value`, one of them or none, consists of: a "Sequence" is taken apart. Each
/// has a "type".
void flatten(const json* value, const std::string& where, std::vector<const json*>& components) {
  if (value == nullptr || value->is_null()) return;
  const auto type = JsonObject(*value, where).text("type");
  if (!type) throw Error("[E354] {} has no {}.", {where, "\"type\""});
  if (*type != "Sequence") return components.push_back(value);
  for (const char* key : {"normalizers", "pretokenizers", "decoders", "processors"}) {
    const auto list = value->find(key);
    if (list == value->end()) continue;
    if (!list->is_array()) throw Error("[E355] {}: {} must be a list.", {where, quote(key)});
    for (const json& component : *list) flatten(&component, where, components);
  }
}

std::vector<const json*> components_of(const JsonObject& settings, const std::string& key,
                                       const std::string& where) {
  std::vector<const json*> components;
  flatten(settings.find(key), where + ": " + quote(key), components);
  return components;
}

void check_model(const JsonObject& model, const std::string& where) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = model.text(key).value_or("");
    if (!value.empty()) {
      throw Error("[E356] {}: {} is {}, which is not supported; expected none.",
                  {where, quote(key), quote(value)});
    }
  }
  if (const json* dropout = model.find("dropout"); dropout != nullptr && *dropout != 0) {
    throw Error("[E357] {}: \"dropout\" is set, which would make token ids random.", {where});
  }
}

Decoder read_decoder(const JsonObject& settings, const std::string& where) {
  if (settings.find("decoder") == nullptr) return Decoder::kSpaced;
  Decoder decoder = Decoder::kJoined;
  for (const json* component : components_of(settings, "decoder", where)) {
    const std::string type = component->at("type").get<std::string>();
    if (type == "ByteLevel") {
      decoder = Decoder::kBytes;
    } else if (type != "Fuse") {
      throw Error("[E358] {}: the decoder {} is not supported; expected \"ByteLevel\".",
                  {where, quote(type)});
    }
  }
  return decoder;
}

/// The ids around "A" in "single", a list of {"SpecialToken": {"id"}} and {"Sequence": {"id"}}.
void read_template(const JsonObject& processor, const std::string& where, TokenizerParts& parts) {
  const json* single = processor.find("single");
  const json* tokens = processor.find("special_tokens");
  if (single == nullptr || !single->is_array() || (tokens != nullptr && !tokens->is_object())) {
    throw Error("[E359] {} must have \"single\", a list, and \"special_tokens\", an object.",
                {where});
  }
  int texts = 0;
  for (const json& piece : *single) {
    const JsonObject object(piece, where + ": \"single\"");
    if (const json* text = object.find("Sequence")) {
      texts += JsonObject(*text, where).text("id") == "A" ? 1 : 2;
      continue;
    }
    const json* token = object.find("SpecialToken");
    const std::string id =
        token == nullptr ? "" : JsonObject(*token, where).text("id").value_or("");
    if (tokens == nullptr || !tokens->contains(id)) {
      throw Error("[E360] {}: \"special_tokens\" lacks {}.", {where, quote(id)});
    }
    for (const std::int64_t one : JsonObject(tokens->at(id), where).integers("ids", kTokenIds)) {
      (texts == 0 ? parts.prefix : parts.suffix).push_back(static_cast<std::int32_t>(one));
    }
  }
  if (texts != 1) throw Error("[E361] {}: \"single\" must have the sequence \"A\" once.", {where});
}

void read_post_processor(const JsonObject& settings, const std::string& file,
                         TokenizerParts& parts) {
  const std::string where = file + ": \"post_processor\"";
  for (const json* component : components_of(settings, "post_processor", file)) {
    const JsonObject processor(*component, where);
    const std::string type = component->at("type").get<std::string>();
    if (type == "ByteLevel") continue;  // moves offsets alone
    if (!parts.prefix.empty() || !parts.suffix.empty()) {
      throw Error("[E362] {} has more than one template, which is not supported.", {where});
    }
    if (type == "TemplateProcessing") {
      read_template(processor, where, parts);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      const auto id = [&](const char* key) {  // ["TOKEN", ID]
        const json* pair = processor.find(key);
        if (pair == nullptr || !pair->is_array() || pair->size() != 2) {
          throw Error("[E363] {}: {} must be a token and its id.", {where, quote(key)});
        }
        const json value = {{"id", pair->back()}};
        return static_cast<std::int32_t>(
            JsonObject(value, where + ": " + quote(key)).integer("id", kTokenIds).value_or(0));
      };
      parts.prefix = {id("cls")};
      parts.suffix = {id("sep")};
    } else {
      throw Error("[E364] {} is {}, which is not supported.", {where, quote(type)});
    }
  }
}

std::vector<AddedToken> read_added(const JsonObject& settings, const std::string& where) {
  std::vector<AddedToken> tokens;
  const json* list = settings.find("added_tokens");
  if (list == nullptr) return tokens;
  if (!list->is_array()) settings.fail("added_tokens", message("a list"), *list);
  for (const json& value : *list) {
    const std::string place =
        message("{}: added token {}", {where, std::to_string(tokens.size() + 1)});
    const auto id = JsonObject(value, place).integer("id", kTokenIds);
    if (!id) throw Error("[E354] {} has no {}.", {place, "\"id\""});
    tokens.push_back(read_added_token(value, place));
    tokens.back().id = static_cast<std::int32_t>(*id);
  }
  return tokens;
}

}  // namespace

Pattern read_pattern(const JsonObject& component, const std::string& where) {
  const json* pattern = component.find("pattern");
  if (pattern == nullptr) throw Error("[E365] {}: a component lacks \"pattern\".", {where});
  const JsonObject object(*pattern, where + ": \"pattern\"");
  if (const auto regex = object.text("Regex")) return {*regex, where};
  const auto text = object.text("String");
  if (!text || text->empty()) {
    throw Error("[E366] {}: \"pattern\" must have a \"Regex\" or a \"String\" that is not empty.",
                {where});
  }
  return Pattern::literal(*text);
}

TokenizerParts read_tokenizer_json(const File& file, bool is_gpt2) {
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
    throw Error("[E367] {}: {} is missing or not an object.", {where, "\"model\""});
  }
  const JsonObject model(*found, where + ": \"model\"");
  const std::string type = model.text("type").value_or("BPE");
  if (type != "BPE") {
    throw Error("[E368] {} holds a {} model; only \"BPE\" is supported.", {where, quote(type)});
  }
  if (!tokens) throw Error("[E367] {}: {} is missing or not an object.", {where, "\"vocab\""});
  if (!merges) throw Error("[E369] {}: {} is missing or not a list.", {where, "\"merges\""});

  TokenizerParts parts;
  parts.added = read_added(settings, where);
  read_post_processor(settings, where, parts);
  UnknownLetters unknown;
  if (!is_gpt2) {
    check_model(model, where);
    parts.normalizer = Normalizer(components_of(settings, "normalizer", where), where);
    parts.pre_tokenizer = PreTokenizer(components_of(settings, "pre_tokenizer", where), where);
    parts.decoder = read_decoder(settings, where);
    parts.ignore_merges = model.boolean("ignore_merges").value_or(false);
    unknown = {model.text("unk_token").value_or(""), model.boolean("fuse_unk").value_or(false),
               model.boolean("byte_fallback").value_or(false)};
  }
  parts.vocabulary = Vocabulary(std::move(*tokens), where);
  parts.bpe = Bpe(parts.vocabulary, *merges, where, std::move(unknown));
  return parts;
}

}  // namespace aira
