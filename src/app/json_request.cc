#include "app/json_request.h"

#include <array>
#include <map>

#include "app/messages_field.h"
#include "base/printable.h"

namespace aira {

using nlohmann::json;

namespace {

/// Keys of a line that are no request options.
const Keys kPromptKeys = {"id",       "question", "prompt", "prompt_ids", "messages",
                          "template", "plain",    "echo",   "choices"};

/// Other names of request options: of transformers and of OpenAI.
constexpr std::array<std::array<std::string_view, 2>, 4> kOtherNames = {{
    {"stop_strings", "stop"},
    {"n", "num_return_sequences"},
    {"max_tokens", "max_new_tokens"},
    {"max_completion_tokens", "max_new_tokens"},
}};

std::string_view own_name(std::string_view key) {
  for (const auto& [other, ours] : kOtherNames) {
    if (key == other) return ours;
  }
  return key;
}

std::vector<std::int32_t> ids_of(Answering& answering, const json& messages,
                                 const std::optional<std::string>& form) {
  const AskOptions& options = answering.options();
  if (options.raw) {
    throw Error("[E117] \"messages\" are a dialogue, whose form {} leaves out.", {"--raw"});
  }
  const auto [system, turns, question] = messages_of(messages);
  return answering.engine().prompts().question(question, turns,
                                               form.value_or(options.form.value_or("")), system);
}

}  // namespace

const RequestOption* option_of(std::string_view key) { return find_request_option(own_name(key)); }

const Keys& request_keys() {
  static const Keys keys = [] {
    Keys all = kPromptKeys;
    for (const RequestOption& row : request_options()) all.insert(row.name);
    for (const auto& [other, ours] : kOtherNames) all.emplace(other);
    return all;
  }();
  return keys;
}

std::pair<std::string, GenerateRequest> request_of(Answering& answering, const json& line,
                                                   const GenerateOptions& options) {
  const JsonObject object(line, message("The line"));
  const std::optional<std::string> question = object.text("question");
  const std::optional<std::string> text = object.text("prompt");
  std::vector<std::int32_t> ids = token_ids(object, "prompt_ids");
  const bool by_ids = object.find("prompt_ids") != nullptr;
  const json* messages = object.find("messages");
  const bool asks = question || messages != nullptr;
  if (question.has_value() + text.has_value() + by_ids + (messages != nullptr) != 1) {
    throw Error(
        "[E118] A line needs \"question\", \"messages\", \"prompt\" or \"prompt_ids\", one of "
        "them.");
  }
  const std::optional<std::string> form = object.text("template");
  const std::optional<bool> plain = object.boolean("plain");
  if (form && !asks) throw Error("[E119] \"template\" is the form of a \"question\".");
  if (plain && !text) throw Error("[E120] \"plain\" is about a \"prompt\".");
  const Prompts& prompts = answering.engine().prompts();
  if (messages != nullptr) return {"messages", {ids_of(answering, *messages, form), options}};
  if (form) return {"question", {prompts.question(*question, {}, *form), options}};
  if (question) return {"question", answering.request(*question, options)};
  if (text) {
    const auto added = plain.value_or(answering.options().plain) ? Tokenizer::Added::kPlainText
                                                                 : Tokenizer::Added::kRecognise;
    return {"prompt", {prompts.raw(*text, added), options, true}};
  }
  if (ids.empty()) throw Error("[E121] The list of \"prompt_ids\" is empty.");
  return {"prompt_ids", {std::move(ids), options, true}};
}

GenerateOptions options_of(RequestChanges request, const GenerateOptions& defaults,
                           const json& line) {
  request.begin(Source::kLine);
  std::map<const RequestOption*, std::string> given;
  for (const auto& [key, value] : line.items()) {
    const std::string_view name = own_name(key);
    const RequestOption* row = find_request_option(name);
    if (row == nullptr) continue;
    const auto [earlier, is_new] = given.emplace(row, key);
    if (!is_new) {
      throw Error("[E122] The fields {} and {} are the same option; give one of them.",
                  {quote(earlier->second), quote(key)});
    }
    if (name == key) {
      request.set_field(*row, value);
    } else if (!request.try_field(*row, value)) {
      throw Error("[E123] {} must be {}, not {}.",
                  {quote(key), row->range.words, printable(value.dump(), 120)});
    }
  }
  return request.over(defaults);
}

}  // namespace aira
