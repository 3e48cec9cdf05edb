// --jsonl: questions and prompts as JSON lines, each with sampling options of its own.
#include <utility>

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
    if (key != "id" && key != "question" && key != "prompt" && key != "prompt_ids") {
      settings.emplace_back(key, value);
    }
  }
  return settings;
}

const char* reason(FinishReason finish) {
  switch (finish) {
    case FinishReason::kLength:
      return "length";
    case FinishReason::kLoop:
      return "loop";
    default:
      return "stop";
  }
}

ordered_json to_json(const TokenLogProbability& token) {
  return {{"id", token.token}, {"logprob", token.log_probability}};
}

ordered_json to_json(const Answer& answer, bool choices) {
  ordered_json result = {{"text", answer.text},
                         {"token_ids", answer.token_ids},
                         {"finish_reason", reason(answer.finish)},
                         {"logprob", answer.logprob}};
  if (answer.score) result["score"] = *answer.score;
  if (!choices) return result;
  ordered_json steps = ordered_json::array();
  for (const Choice& choice : answer.choices) {
    ordered_json step = to_json(choice.chosen);
    step["top"] = ordered_json::array();
    for (const TokenLogProbability& token : choice.top) step["top"].push_back(to_json(token));
    steps.push_back(std::move(step));
  }
  result["logprobs"] = std::move(steps);
  return result;
}

/// The key that says what to go on from, and the ids that come to it.
std::pair<std::string, std::vector<std::int32_t>> prompt_of(const Engine& engine,
                                                            const json& line) {
  const std::optional<std::string> question = text_of(line, "question");
  const std::optional<std::string> text = text_of(line, "prompt");
  const std::optional<std::vector<std::int32_t>> ids = ids_of(line, "prompt_ids");
  if (question.has_value() + text.has_value() + ids.has_value() != 1) {
    throw Error(R"(A line needs "question", "prompt" or "prompt_ids", one of them.)");
  }
  if (question) return {"question", engine.prompt(*question)};
  if (text) return {"prompt", engine.prompts().raw(*text)};
  if (ids->empty()) throw Error(R"(The list of "prompt_ids" is empty.)");
  return {"prompt_ids", *ids};
}

JsonAnswer begin_line(Engine& engine, Progress& progress, const json& line) {
  const auto [key, prompt] = prompt_of(engine, line);
  const ordered_json head = {{key, line[key]}};
  const GenerateOptions request = engine.generate_options(settings_of(line));
  const auto pending = engine.scheduler().ask({prompt, request, {}});
  return [&engine, &progress, request, head, pending]() -> std::optional<ordered_json> {
    const Answers* answers = result_of(*pending);
    if (answers == nullptr) return std::nullopt;
    ordered_json list = ordered_json::array();
    for (const Answer& answer : answers->list) {
      list.push_back(to_json(answer, request.logprobs >= 0));
      progress.add_tokens(static_cast<std::int64_t>(answer.token_ids.size()));
      if (engine.options().stats) progress.clear();
      engine.print_stats(answer, request);
    }
    ordered_json result = head;
    result["answers"] = std::move(list);
    return result;
  };
}

}  // namespace

int run_json_lines(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(options);
  catch_interrupts();
  Progress progress(!options.quiet);
  return answer_json_lines(lines, &engine.scheduler(), progress,
                           [&](const json& line) { return begin_line(engine, progress, line); });
}

}  // namespace aira
