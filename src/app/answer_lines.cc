// Questions as plain lines, and as JSON lines with options of their own.
#include <unistd.h>

#include <utility>

#include "app/answering.h"
#include "app/choose.h"
#include "app/json_lines.h"
#include "app/json_request.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

static void to_json(ordered_json& to, const Choice& choice) {
  to = choice.chosen;
  to["top"] = choice.top;
}

namespace {

using UseAnswer = std::function<void(std::size_t number, const Answer& answer)>;

/// Calls `use` with each whole answer, on the printing thread.
PrintAnswer submit(Answering& answering, LineLoop& loop, GenerateRequest request, UseAnswer use) {
  Listener listener;
  listener.finished = [&answering, &loop, seed = request.options.seed, use = std::move(use)](
                          std::size_t number, const Answer& answer) {
    if (answer.finish == FinishReason::kInterrupted) return;
    use(number, answer);
    loop.progress().add_tokens(answer.token_ids.size());
    if (answering.options().stats) loop.progress().clear();
    answering.print_stats(answer, seed);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  const Ticket ticket = answering.engine().submit(std::move(request), std::move(listener));
  return [ticket] { ticket.wait(); };
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

}  // namespace

int run_pipe(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options);
  const GenerateOptions request = options.request.over(answering.engine().defaults());
  const auto use = [&](std::size_t number, const Answer& answer) {
    loop.print_line(answering.numbering(number) + one_line(answer.text));
  };
  const bool streams = ::isatty(STDOUT_FILENO) == 1 && !options.no_stream;
  const auto begin = [&](const std::string& line) -> PrintAnswer {
    if (line.empty()) return [] {};
    if (streams) {
      return answering.stream_later(answering.request(line, request), [&] { loop.print_line(""); });
    }
    return submit(answering, loop, answering.request(line, request), use);
  };
  return loop.run(&answering.engine(), answering.max_sequences(), request.answers, begin);
}

int run_json_lines(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options, true);
  const auto begin = [&](const json& line, ordered_json& result) {
    auto [key, request] = request_of(answering, line, options_of(answering, line));
    request.candidates = choices_of(answering.options(), line);
    result[key] = line[key];
    result["answers"] = ordered_json::array();
    const bool choices = request.options.logprobs >= 0;
    const auto use = [&result, choices](std::size_t, const Answer& answer) {
      result["answers"].push_back(to_json(answer, choices));
      add_choices(result, answer);
    };
    const bool echo = JsonObject(line, "The line").boolean("echo").value_or(false);
    PrintAnswer prompt = [] {};
    if (echo) {
      result["prompt_tokens"] = ordered_json::array();
      prompt = submit_score(answering.engine(), loop,
                            {.ids = request.prompt, .logprobs = request.options.logprobs},
                            [&result, first = request.prompt.front()](const Score& score) {
                              result["prompt_tokens"] = tokens_of(score);
                              result["prompt_tokens"].insert(
                                  result["prompt_tokens"].begin(),
                                  ordered_json::object({{"id", first}, {"logprob", nullptr}}));
                            });
    }
    return
        [prompt, answer = submit(answering, loop, std::move(request), use)] { prompt(), answer(); };
  };
  return loop.run_json(answering.model_name(), &answering.engine(), answering.max_sequences(),
                       begin);
}

}  // namespace aira
