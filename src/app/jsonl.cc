// --jsonl: questions and prompts as JSON lines, each with sampling options of its own.
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/json_lines.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

Settings settings_of(const json& line) {
  Settings settings;
  for (const auto& [key, value] : line.items()) {
    if (key != "id" && key != "question" && key != "prompt") settings.emplace_back(key, value);
  }
  return settings;
}

ordered_json to_json(const Answer& answer) {
  return {{"text", answer.text},
          {"token_ids", answer.token_ids},
          {"finish_reason", answer.finish == FinishReason::kLength ? "length" : "stop"},
          {"logprob", answer.logprob}};
}

ordered_json answer_line(Engine& engine, const json& line) {
  const std::optional<std::string> question = text_of(line, "question");
  const std::optional<std::string> text = text_of(line, "prompt");
  if (question.has_value() == text.has_value()) {
    throw Error("A line needs \"question\" or \"prompt\", one of them.");
  }
  const Request request = engine.request(settings_of(line));
  const std::vector<std::int32_t> prompt =
      question ? engine.prompt(*question) : engine.generator().raw_prompt(*text);
  ordered_json answers = ordered_json::array();
  for (std::int64_t i = 0; i < request.answers; ++i) {
    const Answer answer = engine.answer(prompt, request, i);
    if (answer.finish == FinishReason::kInterrupted) break;  // nothing of this line is printed
    answers.push_back(to_json(answer));
    engine.print_stats(answer, request);
  }
  const char* key = question ? "question" : "prompt";
  return {{key, question ? *question : *text}, {"answers", std::move(answers)}};
}

}  // namespace

int run_json_lines(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(options);
  catch_interrupts();
  return answer_json_lines(lines, [&](const json& line) { return answer_line(engine, line); });
}

}  // namespace aira
