// tokenize: text to token ids, and back.
#include <CLI/CLI.hpp>
#include <sstream>

#include "app/json_lines.h"
#include "app/model_lookup.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct TokenizeOptions : CommonOptions {
  bool plain = false;
  bool with_template = false;
  bool decode = false;
};

std::string joined(const std::vector<std::int32_t>& ids) {
  std::string line;
  for (const std::int32_t id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
  return line;
}

/// Ids between blanks.
std::vector<std::int32_t> parse_ids(const std::string& line) {
  std::vector<std::int32_t> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    std::int32_t id = 0;
    if (!read_word(word, id) || id < 0) throw Error(quote(word) + " is not a token id.");
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
    const std::string result =
        options.decode ? tokenizer.decode(parse_ids(line), false) : joined(encode(line));
    return [&loop, result] { loop.print_line(result); };
  };
  const auto convert_json = [&](const json& line, ordered_json& result) -> PrintAnswer {
    const char* key = options.decode ? "ids" : "text";
    const Keys keys = {"ids", "text"};
    const ordered_json others = other_fields(line, keys);
    if (keys_of(line, keys) != Keys{key}) {
      throw Error(options.decode
                      ? "[E105] A line needs \"ids\", a list of token ids, and no \"text\"."
                      : "[E106] A line needs \"text\" and no \"ids\".");
    }
    const JsonObject object(line, "The line");
    if (options.decode) {
      result["text"] = tokenizer.decode(token_ids(object, key), false);
    } else {
      result["ids"] = encode(*object.text(key));
    }
    result.update(others);
    return [] {};
  };
  return options.json ? loop.run_json(found.name, nullptr, 1, convert_json)
                      : loop.run(nullptr, 1, 1, convert);
}

}  // namespace

Action set_up_tokenize(CLI::App& app) {
  const auto options = std::make_shared<TokenizeOptions>();
  app.description(R"(aira-cli tokenize [options]       Convert lines of text to token ids, or back
JSON lines: {"text"} -> {"ids"}; with --decode {"ids"} -> {"text"})");
  app.footer(R"(Examples:
  echo "Olá, mundo" | aira-cli tokenize
  echo '{"text": "Olá<|endoftext|>"}' | aira-cli tokenize --jsonl
  echo "Olá, mundo" | aira-cli tokenize | aira-cli tokenize --decode)");
  add_model_options(app, *options, false);
  add_file(app, *options, "One text or list of ids per line; - is stdin");
  app.add_flag("--jsonl", options->json, "JSON lines in and out");
  app.option_defaults()->group("Tokens");
  app.add_flag("--plain", options->plain, "Treat special tokens in the text as plain text");
  app.add_flag("--template", options->with_template,
               "Add the ids that the tokenizer's own template puts around a text");
  app.add_flag("--decode", options->decode, "Convert ids to text");
  add_run_options(app, *options, "tokenize");
  add_quiet(app, *options);
  app.final_callback([options] {
    check_run(*options, true);
    if ((options->plain || options->with_template) && options->decode) {
      throw UsageError(std::string(options->plain ? "--plain" : "--template") +
                       " is about text and --decode about ids; use one of them.");
    }
  });
  return [options] { return run_tokenize(*options); };
}

}  // namespace aira
