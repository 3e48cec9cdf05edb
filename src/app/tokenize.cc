// tokenize: text to token ids, and back.
#include <CLI/CLI.hpp>
#include <sstream>

#include "app/json_lines.h"
#include "app/model_lookup.h"
#include "app/pieces.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct TokenizeOptions : CommonOptions {
  bool plain = false;
  bool with_template = false;
  bool decode = false;
  bool pieces = false;
};

/// Ids between blanks; `tokenizer`, which may be null, puts its text behind each.
std::string joined(const std::vector<std::int32_t>& ids, const Tokenizer* tokenizer) {
  std::string line;
  for (const std::int32_t id : ids) {
    line += (line.empty() ? "" : " ") + std::to_string(id);
    if (tokenizer != nullptr) line += " " + piece_text(tokenizer->bytes(id), true);
  }
  return line;
}

/// Ids between blanks.
std::vector<std::int32_t> parse_ids(const std::string& line) {
  std::vector<std::int32_t> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    std::int32_t id = 0;
    if (!read_word(word, id) || id < 0) throw Error("[E276] {} is not a token id.", {quote(word)});
    ids.push_back(id);
  }
  return ids;
}

int run_tokenize(const TokenizeOptions& options) {
  LineLoop loop(options);
  const FoundModel found = find_model(options);
  const Tokenizer tokenizer = Tokenizer::load(found.files);
  loop.open_output(found);
  const auto added = options.plain ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
  const auto encode = [&](const std::string& text) {
    return options.with_template ? tokenizer.encode_with_template(text, added)
                                 : tokenizer.encode(text, added);
  };
  const auto convert = [&](const std::string& line) -> PrintAnswer {
    const std::vector<std::int32_t> ids = options.decode ? parse_ids(line) : encode(line);
    const std::string result = options.decode && !options.pieces
                                   ? tokenizer.decode(ids, false)
                                   : joined(ids, options.pieces ? &tokenizer : nullptr);
    return [&loop, result] { loop.print_line(result); };
  };
  const auto convert_json = [&](const json& line, JsonText& result) -> PrintAnswer {
    const char* key = options.decode ? "ids" : "text";
    const Keys keys = {"ids", "text"};
    const ordered_json others = other_fields(line, keys);
    if (keys_of(line, keys) != Keys{key}) {
      if (!options.decode) throw Error("[E106] A line needs \"text\" and no \"ids\".");
      throw Error("[E105] A line needs \"ids\", a list of token ids, and no \"text\".");
    }
    const JsonObject object(line, message("The line"));
    const std::vector<std::int32_t> ids =
        options.decode ? token_ids(object, key) : encode(*object.text(key));
    options.decode ? result.set("text", tokenizer.decode(ids, false)) : result.set("ids", ids);
    if (options.pieces) {
      std::vector<std::string> pieces;
      for (const std::int32_t id : ids) pieces.push_back(piece_text(tokenizer.bytes(id), false));
      result.set("pieces", pieces);
    }
    result.set_all(others);
    return [] {};
  };
  return options.json ? loop.run_json(found.name, nullptr, 1, convert_json)
                      : loop.run(nullptr, 1, 1, convert);
}

}  // namespace

Action set_up_tokenize(CLI::App& app) {
  const auto options = std::make_shared<TokenizeOptions>();
  app.description(message(
      R"(aira-cli tokenize [options]       Convert lines of text to token ids, or back
JSON lines: {"text"} -> {"ids"}; with --decode {"ids"} -> {"text"}
--pieces shows what each id stands for: \xc3 is a byte that is no whole
character, \n a line break, \\ a backslash.)"));
  app.footer(message("Examples:") + R"(
  echo "Olá, mundo" | aira-cli tokenize
  echo "Olá, mundo" | aira-cli tokenize --pieces
  echo '{"text": "Olá<|endoftext|>"}' | aira-cli tokenize --jsonl
  echo "Olá, mundo" | aira-cli tokenize | aira-cli tokenize --decode)");
  add_model_options(app, *options, false);
  add_file(app, *options, message("One text or list of ids per line; - is stdin").c_str());
  app.add_flag("--jsonl", options->json, message("JSON lines in and out"));
  app.option_defaults()->group(message("Tokens"));
  app.add_flag("--plain", options->plain,
               message("Treat special tokens in the text as plain text"));
  app.add_flag("--template", options->with_template,
               message("Add the ids of the tokenizer's own template"));
  app.add_flag("--decode", options->decode, message("Convert ids to text"));
  app.add_flag("--pieces", options->pieces, message("Show the text of each id"));
  add_run_options(app, *options, "tokenize");
  add_quiet(app, *options);
  app.final_callback([options] {
    check_run(*options, true);
    if ((options->plain || options->with_template) && options->decode) {
      throw UsageError("[E278] {} is about text and {} about ids; use one of them.",
                       {options->plain ? "--plain" : "--template", "--decode"});
    }
  });
  return [options] { return run_tokenize(*options); };
}

}  // namespace aira
