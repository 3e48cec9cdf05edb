#include "app/choose.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/output.h"
#include "base/json.h"
#include "base/printable.h"
#include "run/answer_text.h"
#include "run/json_options.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr const char* kFlag = "--choose";
constexpr const char* kField = "\"choices\"";

/// The texts between bars; \| is a bar and \\ a backslash.
std::vector<std::string> split_at_bars(std::string_view typed) {
  std::vector<std::string> texts(1);
  for (std::size_t at = 0; at < typed.size(); ++at) {
    const char next = at + 1 < typed.size() ? typed[at + 1] : '\0';
    if (typed[at] == '\\' && (next == '|' || next == '\\')) {
      texts.back() += next;
      ++at;
    } else if (typed[at] == '|') {
      texts.emplace_back();
    } else {
      texts.back() += typed[at];
    }
  }
  return texts;
}

/// `name` is what the user wrote before the texts; `answers`: white space around them does not
/// count.
void check_texts(const std::vector<std::string>& texts, const char* name, bool answers) {
  std::vector<std::string> known;
  for (const std::string& text : texts) {
    known.push_back(answers ? without_white_space(text) : text);
    if (known.back().empty()) {
      throw UsageError("[E262] One of the texts of {} is empty; leave it out.", {name});
    }
    if (std::find(known.begin(), known.end() - 1, known.back()) != known.end() - 1) {
      throw UsageError("[E263] {} has the text {} twice.", {name, quote(known.back())});
    }
  }
  if (texts.size() > 1) return;
  if (name == kFlag) {
    throw UsageError(
        "[E264] {} needs at least two texts with a bar between them, as in {}; {} is a bar inside "
        "a "
        "text.",
        {name, "\"sim|não\"", "\\|"});
  }
  throw UsageError("[E265] {} needs at least two texts.", {name});
}

/// Whether a request option means something to a choice: what ends an answer does, and so does the
/// seed, on which nothing depends.
bool goes_with_choices(const RequestOption& row) {
  return row.member == request_option("seed").member ||
         row.member == request_option("eos_token_id").member;
}

[[noreturn]] void refuse(std::string_view one, const char* name) {
  throw UsageError(
      "[E266] {} does not go with {}: the answer is the most probable of its texts, and nothing is "
      "drawn or searched.",
      {one, name});
}

}  // namespace

void add_choose(CLI::App& app, AskOptions& options) {
  app.add_option_function<std::string>(
         kFlag, [&options](const std::string& typed) { options.choices = split_at_bars(typed); },
         message("Answer with the most probable of these texts"))
      ->option_text("\"A|B\"");
}

void check_choose(const AskOptions& options, bool chat) {
  if (options.choices.empty()) return;
  check_texts(options.choices, kFlag, !options.raw);
  for (const RequestOption& row : request_options()) {
    if (options.request.has(row) && !goes_with_choices(row)) refuse(option(row.name), kFlag);
  }
  if (chat) {
    throw UsageError(
        "[E267] {} is for a question on the command line or for lines of questions, not for the "
        "chat.",
        {kFlag});
  }
}

std::vector<std::string> choices_of(const AskOptions& options, const json& line) {
  const JsonObject object(line, message("The line"));
  std::vector<std::string> texts = options.choices;
  const json* own = object.find("choices");
  if (own != nullptr) {
    const auto is_text = [](const json& one) { return one.is_string(); };
    if (!own->is_array() || !std::all_of(own->begin(), own->end(), is_text)) {
      object.fail("choices", message("a list of texts"), *own);
    }
    own->get_to(texts);
    const bool raw = object.find("prompt") != nullptr || object.find("prompt_ids") != nullptr;
    check_texts(texts, kField, !raw);
  }
  if (texts.empty()) return texts;
  for (const auto& [key, value] : line.items()) {
    const RequestOption* row = option_of(key);
    if (row != nullptr && !goes_with_choices(*row)) {
      refuse(quote(key), own != nullptr ? kField : kFlag);
    }
  }
  return texts;
}

ordered_json candidates_of(const Answer& answer) {
  ordered_json choices;
  for (const RatedText& one : answer.candidates) {
    choices.push_back(
        {{"text", one.text}, {"logprob", one.logprob}, {"probability", one.probability}});
  }
  return choices;
}

std::optional<double> chosen_probability(const Answer& answer) {
  for (const RatedText& one : answer.candidates) {
    if (one.text == answer.text) return one.probability;
  }
  return std::nullopt;
}

}  // namespace aira
