// tokenize: text to token ids and back, with the tokenizer alone: no weights are read.
#include <CLI/CLI.hpp>
#include <charconv>

#include "aira/error.h"
#include "aira/tokenizer.h"
#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_loop.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct TokenizeOptions : CommonOptions {
  std::optional<std::string> file;
  bool jsonl = false;
  bool plain = false;
  bool decode = false;

  Tokenizer::Added added() const {
    return plain ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
  }
};

std::string joined(const std::vector<std::int32_t>& ids) {
  std::string line;
  for (const std::int32_t id : ids) {
    if (!line.empty()) line += ' ';
    line += std::to_string(id);
  }
  return line;
}

/// Ids between blanks.
std::vector<std::int32_t> parse_ids(std::string_view line) {
  std::vector<std::int32_t> ids;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty()) return ids;
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    std::int32_t id = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (problem != std::errc() || end != word.data() + word.size() || id < 0) {
      throw Error(quote(word) + " is not a token id.");
    }
    ids.push_back(id);
    line.remove_prefix(word.size());
  }
}

std::string convert(const Tokenizer& tokenizer, const TokenizeOptions& options,
                    const std::string& line) {
  if (options.decode) return one_line(tokenizer.decode(parse_ids(line), false));
  return joined(tokenizer.encode(line, options.added()));
}

ordered_json convert(const Tokenizer& tokenizer, const TokenizeOptions& options, const json& line) {
  const JsonObject object(line, "The line");
  if (options.decode) {
    refuse_other_keys(line, {"ids"});
    const auto ids = token_ids(object, "ids");
    if (!ids) throw Error("A line needs \"ids\", a list of token ids.");
    return {{"text", tokenizer.decode(*ids, false)}};
  }
  refuse_other_keys(line, {"text"});
  const std::optional<std::string> text = object.text("text");
  if (!text) throw Error("A line needs \"text\".");
  return {{"ids", tokenizer.encode(*text, options.added())}};
}

int convert_lines(const Tokenizer& tokenizer, const TokenizeOptions& options, LineReader& lines) {
  int code = kDone;
  while (const std::optional<std::string> line = lines.next()) {
    std::string result;
    const std::optional<Error> problem =
        problem_in([&] { result = convert(tokenizer, options, *line); });
    if (problem) {
      report_error("line " + std::to_string(lines.number()) + ": " + problem->what());
      code = kFailed;
    }
    print(result + "\n");
  }
  return interrupted() ? kInterrupted : code;
}

int run_tokenize(const TokenizeOptions& options) {
  LineReader lines(options.file.value_or("-"));
  const FoundModel found = find_model(options);
  const Tokenizer tokenizer = Tokenizer::load(found.files);
  catch_interrupts();
  Progress progress(!options.quiet);
  const auto begin = [&](const json& line) -> JsonAnswer {
    return [answer = convert(tokenizer, options, line)] { return answer; };
  };
  return options.jsonl ? run_json_loop({lines, progress, line_window(1), [] {}}, begin)
                       : convert_lines(tokenizer, options, lines);
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
  add_file(app, options->file, "One text or list of ids per line; - is stdin");
  app.add_flag("--jsonl", options->jsonl, "JSON lines in and out");
  app.option_defaults()->group("Tokens");
  app.add_flag("--plain", options->plain, "Treat special tokens in the text as plain text");
  app.add_flag("--decode", options->decode, "Convert ids to text");
  add_quiet(app, *options);
  app.final_callback([options] {
    if (options->plain && options->decode) {
      throw UsageError("--plain is about text and --decode about ids; use one of them.");
    }
  });
  return [options] { return run_tokenize(*options); };
}

}  // namespace aira
