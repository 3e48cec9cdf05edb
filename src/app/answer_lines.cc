// Questions as plain lines, and as JSON lines with options of their own.
#include <unistd.h>

#include <utility>

#include "app/answering.h"
#include "app/choose.h"
#include "app/json_lines.h"
#include "app/json_request.h"
#include "app/openai_batch.h"
#include "base/printable.h"
#include "run/json_options.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

static void to_json(ordered_json& to, const Choice& choice) {
  to = choice.chosen;
  to["top"] = choice.top;
}

namespace {

using UseAnswer = std::function<void(std::size_t number, const Answer& answer)>;

/// Calls `use` with each whole answer, on the printing thread. `asked` is for --log.
PrintAnswer submit(Answering& answering, LineLoop& loop, ordered_json asked,
                   GenerateRequest request, UseAnswer use) {
  const auto answers = std::make_shared<std::vector<Answer>>();  // for --log
  const GenerateOptions options = request.options;
  Listener listener;
  listener.finished = [&answering, &loop, answers, seed = options.seed, use = std::move(use)](
                          std::size_t number, const Answer& answer) {
    if (answer.finish == FinishReason::kInterrupted) return;
    use(number, answer);
    if (answering.options().log) answers->push_back(answer);
    loop.progress().add_tokens(answer.token_ids.size());
    if (answering.options().stats) loop.progress().clear();
    answering.print_stats(answer, seed);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  const Ticket ticket = answering.engine().submit(std::move(request), std::move(listener));
  return [&answering, ticket, asked = std::move(asked), options, answers] {
    ticket.wait();
    answering.log(asked, options, *answers);
  };
}

ordered_json to_json(const Answer& answer, bool choices) {
  const char* reason = answer.finish == FinishReason::kLength ? "length"
                       : answer.finish == FinishReason::kLoop ? "loop"
                                                              : "stop";
  ordered_json result = {{"text", answer.text},
                         {"token_ids", answer.token_ids},
                         {"finish_reason", reason},
                         {"logprob", answer.logprob}};
  if (answer.score) result["score"] = *answer.score;
  if (choices) result["logprobs"] = answer.choices;
  return result;
}

/// Sets "prompt_tokens", for "echo".
PrintAnswer submit_prompt(Answering& answering, LineLoop& loop, const GenerateRequest& request,
                          ordered_json& result) {
  result["prompt_tokens"] = ordered_json::array();
  return submit_score(
      answering.engine(), loop, {.ids = request.prompt, .logprobs = request.options.logprobs},
      [&result, first = request.prompt.front()](const Score& score) {
        result["prompt_tokens"] = tokens_of(score);
        result["prompt_tokens"].insert(result["prompt_tokens"].begin(),
                                       ordered_json::object({{"id", first}, {"logprob", nullptr}}));
      });
}

/// A line of ours, or the one that an OpenAI batch line stands for.
PrintAnswer submit_line(Answering& answering, LineLoop& loop, const json& line,
                        ordered_json& result) {
  GenerateOptions options = options_of(answering.options().request, answering.defaults(), line);
  options.logprob = true;
  auto [key, request] = request_of(answering, line, options);
  request.candidates = choices_of(answering.options(), line);
  result[key] = line[key];
  result["answers"] = ordered_json::array();
  const bool choices = request.options.logprobs >= 0;
  const auto use = [&result, choices](std::size_t, const Answer& answer) {
    result["answers"].push_back(to_json(answer, choices));
    add_choices(result, answer);
  };
  const bool echo = JsonObject(line, message("The line")).boolean("echo").value_or(false);
  PrintAnswer prompt = echo ? submit_prompt(answering, loop, request, result) : [] {};
  const std::size_t prompt_tokens = request.prompt.size();
  ordered_json asked = {{key, line[key]}};
  if (line.contains("id")) asked["id"] = line["id"];
  return [&result, prompt, prompt_tokens,
          answer = submit(answering, loop, std::move(asked), std::move(request), use)] {
    prompt();
    answer();
    std::size_t tokens = 0;
    for (const ordered_json& one : result["answers"]) tokens += one["token_ids"].size();
    result["usage"] = {{"prompt_tokens", prompt_tokens},
                       {"completion_tokens", tokens},
                       {"total_tokens", prompt_tokens + tokens}};
  };
}

}  // namespace

int run_pipe(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options);
  loop.open_output(answering.model());
  loop.progress().tell(answering.energy());
  const GenerateOptions request = options.request.over(answering.defaults());
  const auto use = [&](std::size_t number, const Answer& answer) {
    loop.print_line(answering.numbering(number) + answer.text);
  };
  const bool streams =
      ::isatty(STDOUT_FILENO) == 1 && !options.no_stream && !options.run.output && !options.run.csv;
  const auto begin = [&](const std::string& line) -> PrintAnswer {
    if (line.empty()) return [] {};
    if (streams) {
      return [&loop, answer = answering.stream_later(answering.request(line, request), line,
                                                     [&loop] { loop.print_line(""); })] {
        for (const Answer& one : answer()) loop.progress().add_tokens(one.token_ids.size());
      };
    }
    return submit(answering, loop, {{options.raw ? "prompt" : "question", line}},
                  answering.request(line, request), use);
  };
  return loop.run(&answering.engine(), answering.max_sequences(), request.answers, begin);
}

int run_json_lines(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options, true);
  loop.open_output(answering.model());
  loop.progress().tell(answering.energy());
  const auto begin = [&](const json& given, ordered_json& result) -> PrintAnswer {
    const bool openai = is_openai(given);
    const json line = openai ? from_openai(given) : given;
    const ordered_json others = other_fields(line, request_keys());
    if (openai && !others.empty()) {
      throw Error("[E128] This program has nothing like {} in the \"body\" of a batch line.",
                  {quote(others.begin().key())});
    }
    PrintAnswer answer = submit_line(answering, loop, line, result);
    if (!openai) return [&result, answer, others] { answer(), result.update(others); };
    return [&result, answer, given] {
      answer();
      result = to_openai(given, result["model"], result["answers"], result["usage"]);
    };
  };
  return loop.run_json(answering.model().name, &answering.engine(), answering.max_sequences(),
                       begin);
}

}  // namespace aira
