// Text to token ids and back, with the tokenizer alone: no weights are read.
#include <charconv>
#include <limits>

#include "aira/tokenizer.h"
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/json_lines.h"
#include "app/output.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t kHighestId = std::numeric_limits<std::int32_t>::max();

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

ordered_json convert_json(const Tokenizer& tokenizer, const Options& options,
                          Tokenizer::Added added, const json& line) {
  if (!options.decode) {
    refuse_other_keys(line, {"text"});
    const std::optional<std::string> text = text_of(line, "text");
    if (!text) throw Error("A line needs \"text\".");
    return {{"ids", tokenizer.encode(*text, added)}};
  }
  refuse_other_keys(line, {"ids"});
  if (!line.contains("ids") || !line["ids"].is_array()) {
    throw Error("A line needs \"ids\", a list of token ids.");
  }
  const std::vector<std::int64_t> wide =
      JsonObject(line, "The line").integers("ids", {.from = 0, .to = kHighestId});
  const std::vector<std::int32_t> ids(wide.begin(), wide.end());
  return {{"text", tokenizer.decode(ids, false)}};
}

int convert_lines(const Tokenizer& tokenizer, const Options& options, Tokenizer::Added added,
                  LineReader& lines) {
  int code = kDone;
  while (const std::optional<std::string> line = lines.next()) {
    std::string result;
    const std::optional<std::string> problem = problem_in([&] {
      result = options.decode ? one_line(tokenizer.decode(parse_ids(*line), false))
                              : joined(tokenizer.encode(*line, added));
    });
    if (problem) {
      report_error("line " + std::to_string(lines.number()) + ": " + *problem);
      code = kFailed;
    }
    print(result + "\n");
  }
  return interrupted() ? kInterrupted : code;
}

}  // namespace

int run_tokenize(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  const FoundModel found = find_model(options);
  const Tokenizer tokenizer = Tokenizer::load(found.files);
  const auto added = options.plain ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
  catch_interrupts();
  Progress progress(!options.quiet);
  return options.jsonl
             ? answer_json_lines(lines, nullptr, progress,
                                 [&](const json& line) -> JsonAnswer {
                                   return [answer = convert_json(tokenizer, options, added, line)] {
                                     return answer;
                                   };
                                 })
             : convert_lines(tokenizer, options, added, lines);
}

}  // namespace aira
