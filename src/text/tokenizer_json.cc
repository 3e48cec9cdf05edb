// tokenizer.json, https://huggingface.co/docs/tokenizers: accepted is what byte-level BPE models
// use; whatever else would change ids is refused by name. "truncation" and "padding" are ignored
// (this program cuts nothing silently), and so is "post_processor" (it only acts with
// add_special_tokens=True).
#include <algorithm>
#include <future>
#include <limits>
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "text/json_scanner.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

using nlohmann::json;

/// The file, taken apart but not judged yet.
struct RawTokenizer {
  json settings = json::object();  // all top-level keys but "model"
  json model = json::object();     // all keys of "model" but the two lists
  std::optional<TokenList> tokens;
  std::optional<MergeList> merges;
};

/// Reads the object that is next in `scanner`: {"token": id, ...}.
TokenList read_token_list(JsonScanner& scanner, const std::string& where) {
  TokenList list;
  list.reserve(scanner.rest());
  scanner.object([&](std::string_view token) {
    const auto id = scanner.integer();
    if (!id) throw Error(where + ": the id of token " + quote(token) + " is not a whole number.");
    list.add(token, *id);
  });
  return list;
}

/// Reads the list that is next: "a b" or ["a", "b"] each.
MergeList read_merge_list(JsonScanner& scanner, const std::string& where) {
  MergeList merges;
  merges.reserve(scanner.rest());
  std::string left;
  std::size_t number = 0;
  const auto fail = [&](const std::string& problem) {
    throw Error(where + ": merge " + std::to_string(number) + " is " + problem);
  };
  scanner.list([&] {
    number = merges.entries().size() + 1;
    const char next = scanner.peek();
    if (next == '"') {
      const std::string_view line = scanner.string();
      if (!line.starts_with("#version") && !add_merge(line, merges)) {
        fail(quote(line) + "; expected two tokens with one space between.");
      }
      return;
    }
    if (next != '[') fail("neither a string nor a pair of strings.");
    std::size_t count = 0;
    scanner.list([&] {
      if (scanner.peek() != '"' || ++count > 2) fail("not a pair of strings.");
      if (count == 1) {
        left = scanner.string();
      } else {
        merges.add(left, scanner.string());
      }
    });
    if (count != 2) fail("not a pair of strings.");
  });
  return merges;
}

/// The merges, read by a thread of its own while the vocabulary before them is: the two lists are
/// nearly all of the file. Where they begin is guessed here and checked by the reader that gets
/// there.
struct MergesAhead {
  std::size_t begin = 0;
  std::size_t end = 0;  // 0: nothing was found, or something wrong, for the main thread to see
  MergeList merges;
};

MergesAhead read_ahead(std::string_view text, const std::string& where) {
  MergesAhead ahead;
  const std::size_t key = text.find("\"merges\"");
  if (key == std::string_view::npos) return ahead;
  try {
    JsonScanner scanner(text, where, key);
    scanner.string();
    ahead.begin = text.find('[', scanner.at());
    scanner.go_to(std::min(ahead.begin, text.size()));
    ahead.merges = read_merge_list(scanner, where);
    ahead.end = scanner.at();
  } catch (const Error&) {
  }
  return ahead;
}

/// Parses the value that is next into into[key].
void take(JsonScanner& scanner, const std::string& key, const std::string& where, json& into) {
  if (into.contains(key)) throw Error(where + " has " + quote(key) + " twice in one JSON object.");
  into[key] = parse_json(scanner.skip(), where + ": " + quote(key));
}

RawTokenizer scan(const File& file, const std::string& where) {
  RawTokenizer raw;
  bool has_model = false;
  auto ahead = std::async([&] { return read_ahead(file.text(), where); });
  JsonScanner scanner(file.text(), where);
  const auto take_merges = [&] {
    MergesAhead found = ahead.get();
    if (found.end == 0 || found.begin != scanner.at()) return read_merge_list(scanner, where);
    scanner.go_to(found.end);
    return std::move(found.merges);
  };
  const auto scan_model = [&](std::string_view view) {
    const std::string key(view);
    const char next = scanner.peek();
    if (key == "vocab" && next == '{' && !raw.tokens) {
      raw.tokens = read_token_list(scanner, where);
    } else if (key == "merges" && next == '[' && !raw.merges) {
      raw.merges = take_merges();
    } else {
      take(scanner, key, where, raw.model);
    }
  };
  scanner.object([&](std::string_view view) {
    const std::string key(view);
    if (key == "model" && scanner.peek() == '{' && !has_model) {
      has_model = true;
      scanner.object(scan_model);
    } else {
      take(scanner, key, where, raw.settings);
    }
  });
  scanner.finish();
  if (!has_model) throw Error(where + ": \"model\" is missing or not an object.");
  return raw;
}

/// The "type" of a component such as the decoder; empty when there is none.
std::string type_of(const json& settings, const std::string& key, const std::string& where) {
  const json* value = JsonObject(settings, where).find(key);
  if (value == nullptr) return "";
  const auto type = JsonObject(*value, where + ": " + quote(key)).text("type");
  if (!type) throw Error(where + ": " + quote(key) + " has no \"type\".");
  return *type;
}

void require_byte_level(const json& settings, const std::string& key, const std::string& where) {
  const std::string type = type_of(settings, key, where);
  if (type == "ByteLevel") return;
  throw Error(where + ": " + quote(key) + " is " + (type.empty() ? "not set" : quote(type)) +
              ", which is not supported; expected \"ByteLevel\".");
}

void check_model(const RawTokenizer& raw, const std::string& where) {
  const JsonObject model(raw.model, where + ": \"model\"");
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
  if (!raw.tokens) throw Error(where + ": \"vocab\" is missing or not an object.");
  if (!raw.merges) throw Error(where + ": \"merges\" is missing or not a list.");
}

std::vector<DeclaredToken> read_added(const json& settings, const std::string& where) {
  std::vector<DeclaredToken> tokens;
  const JsonObject object(settings, where);
  const json* list = object.find("added_tokens");
  if (list == nullptr) return tokens;
  if (!list->is_array()) object.fail("added_tokens", "a list", *list);
  constexpr IntegerRange kIds{0, std::numeric_limits<std::int32_t>::max()};
  for (const json& value : *list) {
    const std::string place = where + ": added token " + std::to_string(tokens.size() + 1);
    const auto id = JsonObject(value, place).integer("id", kIds);
    if (!id) throw Error(place + " has no \"id\".");
    tokens.push_back({read_added_token(value, place), static_cast<std::int32_t>(*id)});
  }
  return tokens;
}

}  // namespace

TokenizerParts read_tokenizer_json(const File& file, std::vector<DeclaredToken>& added) {
  const std::string where = printable(file.path);
  RawTokenizer raw = scan(file, where);
  check_model(raw, where);
  if (const std::string type = type_of(raw.settings, "normalizer", where); !type.empty()) {
    throw Error(where + ": the normalizer " + quote(type) + " is not supported; expected none.");
  }
  require_byte_level(raw.settings, "pre_tokenizer", where);
  require_byte_level(raw.settings, "decoder", where);
  added = read_added(raw.settings, where);

  TokenizerParts parts;
  const JsonObject pre_tokenizer(raw.settings["pre_tokenizer"], where + ": \"pre_tokenizer\"");
  parts.add_prefix_space = pre_tokenizer.boolean("add_prefix_space").value_or(true);
  parts.use_regex = pre_tokenizer.boolean("use_regex").value_or(true);
  parts.ignore_merges =
      JsonObject(raw.model, where + ": \"model\"").boolean("ignore_merges").value_or(false);
  parts.vocabulary = Vocabulary(*std::move(raw.tokens), where);
  parts.model_tokens = parts.vocabulary.size();
  parts.bpe = Bpe(parts.vocabulary, *raw.merges, where, where);
  return parts;
}

Vocabulary read_vocabulary(const File& file) {
  const std::string where = printable(file.path);
  JsonScanner scanner(file.text(), where);
  TokenList list = read_token_list(scanner, where);
  scanner.finish();
  return Vocabulary(std::move(list), where);
}

}  // namespace aira
