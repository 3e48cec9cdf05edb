#include "app/json_request.h"

#include "app/json_lines.h"

namespace aira {

using nlohmann::json;

namespace {

/// Keys of a line that are no request options.
const Keys kPromptKeys = {"id",       "question", "prompt", "prompt_ids",
                          "template", "plain",    "echo",   "choices"};

}  // namespace

std::pair<std::string, GenerateRequest> request_of(Answering& answering, const json& line,
                                                   const GenerateOptions& options) {
  const JsonObject object(line, "The line");
  const std::optional<std::string> question = object.text("question");
  const std::optional<std::string> text = object.text("prompt");
  std::vector<std::int32_t> ids = token_ids(object, "prompt_ids");
  const bool by_ids = object.find("prompt_ids") != nullptr;
  if (question.has_value() + text.has_value() + by_ids != 1) {
    throw Error(R"(A line needs "question", "prompt" or "prompt_ids", one of them.)");
  }
  const std::optional<std::string> form = object.text("template");
  const std::optional<bool> plain = object.boolean("plain");
  if (form && !question) throw Error(R"("template" is the form of a "question".)");
  if (plain && !text) throw Error(R"("plain" is about a "prompt".)");
  const Prompts& prompts = answering.engine().prompts();
  if (form) return {"question", {prompts.question(*question, {}, *form), options}};
  if (question) return {"question", answering.request(*question, options)};
  if (text) {
    const auto added = plain.value_or(answering.options().plain) ? Tokenizer::Added::kPlainText
                                                                 : Tokenizer::Added::kRecognise;
    return {"prompt", {prompts.raw(*text, added), options, true}};
  }
  if (ids.empty()) throw Error(R"(The list of "prompt_ids" is empty.)");
  return {"prompt_ids", {std::move(ids), options, true}};
}

GenerateOptions options_of(Answering& answering, const json& line) {
  RequestChanges request = answering.options().request;
  for (const auto& [key, value] : line.items()) {
    if (!kPromptKeys.contains(key)) request.set_field(request_option(key), value);
  }
  GenerateOptions options = request.over(answering.engine().defaults());
  options.logprob = true;
  return options;
}

}  // namespace aira
