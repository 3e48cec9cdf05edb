// --jsonl: questions and prompts as JSON lines, each with options of its own.
#include <utility>

#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_loop.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

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

/// The key of the prompt, and the prompt's ids.
std::pair<std::string, std::vector<std::int32_t>> prompt_of(Answering& answering,
                                                            const json& line) {
  const JsonObject object(line, "The line");
  const std::optional<std::string> question = object.text("question");
  const std::optional<std::string> text = object.text("prompt");
  std::optional<std::vector<std::int32_t>> ids = token_ids(object, "prompt_ids");
  if (question.has_value() + text.has_value() + ids.has_value() != 1) {
    throw Error(R"(A line needs "question", "prompt" or "prompt_ids", one of them.)");
  }
  if (question) return {"question", answering.prompt(*question)};
  if (text) return {"prompt", answering.engine().prompts().raw(*text)};
  if (ids->empty()) throw Error(R"(The list of "prompt_ids" is empty.)");
  return {"prompt_ids", *std::move(ids)};
}

GenerateOptions options_of(Answering& answering, const json& line) {
  RequestChanges request = answering.options().request;
  for (const auto& [key, value] : line.items()) {
    if (key != "id" && key != "question" && key != "prompt" && key != "prompt_ids") {
      request.set_field(request_option(key), value);
    }
  }
  GenerateOptions options = request.over(answering.engine().defaults());
  options.logprob = true;
  return options;
}

JsonAnswer begin_line(Answering& answering, Progress& progress, const json& line) {
  auto [key, prompt] = prompt_of(answering, line);
  const GenerateOptions options = options_of(answering, line);
  const auto result = std::make_shared<ordered_json>();
  (*result)[key] = line[key];
  (*result)["answers"] = ordered_json::array();
  Listener listener;
  listener.finished = [&answering, &progress, &result = *result, seed = options.seed,
                       choices = options.logprobs >= 0](std::size_t, const Answer& answer) {
    if (answer.finish == FinishReason::kInterrupted) return;
    result["answers"].push_back(to_json(answer, choices));
    progress.add_tokens(answer.token_ids.size());
    if (answering.options().stats) progress.clear();
    answering.print_stats(answer, seed);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  const Ticket ticket =
      answering.engine().submit(GenerateRequest{std::move(prompt), options}, std::move(listener));
  return [result, ticket] {
    ticket.wait();
    return *result;
  };
}

}  // namespace

int run_json_lines(const AskOptions& options) {
  LineReader lines(options.file.value_or("-"));
  Answering answering(options, true);
  catch_interrupts();
  Progress progress(!options.quiet);
  return run_json_loop(
      {lines, progress, answering.line_window(), [&] { answering.engine().cancel_all(); }},
      [&](const json& line) { return begin_line(answering, progress, line); });
}

}  // namespace aira
