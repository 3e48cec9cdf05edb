#include "app/json_request.h"

#include "run/json_options.h"
#include "run/messages_field.h"

namespace aira {

using nlohmann::json;

namespace {

/// Keys of a line that are no request options.
const Keys kPromptKeys = {"id",       "question", "prompt", "prompt_ids", "messages",
                          "template", "plain",    "echo",   "choices"};

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

const Keys& request_keys() {
  static const Keys keys = [] {
    Keys all = kPromptKeys;
    for (const RequestOption& row : request_options()) all.insert(row.name);
    for (const std::string_view name : other_option_fields()) all.emplace(name);
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

}  // namespace aira
