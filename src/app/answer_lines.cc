// Questions as plain lines, and as JSON lines with options of their own.
#include <unistd.h>

#include <algorithm>
#include <memory>
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

const char* reason_of(const Answer& answer) {
  return answer.finish == FinishReason::kLength ? "length"
         : answer.finish == FinishReason::kLoop ? "loop"
                                                : "stop";
}

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
  // Behind submit(), which refuses what is beyond all bounds.
  const std::int64_t tokens = std::min(std::max(options.max_new_tokens, options.max_length),
                                       answering.engine().info().context);
  loop.expect(std::max(options.answers, options.best_of) * tokens, options.logprobs);
  return [&answering, ticket, asked = std::move(asked), options, answers] {
    ticket.wait();
    answering.log(asked, options, *answers);
  };
}

std::string json_of(const Answer& answer, bool choices) {
  ordered_json result = {{"text", answer.text},
                         {"token_ids", answer.token_ids},
                         {"finish_reason", reason_of(answer)},
                         {"logprob", answer.logprob}};
  if (answer.score) result["score"] = *answer.score;
  JsonText text;
  text.set_all(result);
  if (choices) {
    std::vector<std::string> tokens;
    for (const Choice& choice : answer.choices) tokens.push_back(json_text(choice));
    text.set_list("logprobs", tokens);
  }
  if (const auto probability = chosen_probability(answer)) text.set("probability", *probability);
  return text.object();
}

/// What comes of a line.
struct LineResult {
  std::size_t prompt_tokens = 0;
  std::size_t completion_tokens = 0;
  std::vector<std::string> answers;   // JSON
  std::vector<OpenaiChoice> choices;  // the same in an OpenAI batch
  ordered_json candidates;            // what was chosen from, or null
  std::vector<std::string> prompt;    // JSON of its tokens, for "echo"

  ordered_json usage() const {
    return {{"prompt_tokens", prompt_tokens},
            {"completion_tokens", completion_tokens},
            {"total_tokens", prompt_tokens + completion_tokens}};
  }
};

PrintAnswer submit_prompt(Answering& answering, LineLoop& loop, const GenerateRequest& request,
                          LineResult& result) {
  return submit_score(answering.engine(), loop,
                      {.ids = request.prompt, .logprobs = request.options.logprobs},
                      [&result, first = request.prompt.front()](const Score& score) {
                        result.prompt = tokens_of(score);
                        const ordered_json unscored = {{"id", first}, {"logprob", nullptr}};
                        result.prompt.insert(result.prompt.begin(), json_text(unscored));
                      });
}

/// A line of ours, or the one that an OpenAI batch line stands for. Returns the key of the prompt
/// and what fills `result`.
std::pair<std::string, PrintAnswer> submit_line(Answering& answering, LineLoop& loop,
                                                const json& line, bool openai, LineResult& result) {
  GenerateOptions options = options_of(answering.options().request, answering.defaults(), line);
  options.logprob = true;
  auto [key, request] = request_of(answering, line, options);
  request.candidates = choices_of(answering.options(), line);
  const bool choices = request.options.logprobs >= 0;
  const auto use = [&result, openai, choices](std::size_t, const Answer& answer) {
    result.completion_tokens += answer.token_ids.size();
    if (openai) {
      result.choices.push_back({answer.text, answer.finish == FinishReason::kLength});
    } else {
      result.answers.push_back(json_of(answer, choices));
    }
    result.candidates = candidates_of(answer);
  };
  const bool echo = JsonObject(line, message("The line")).boolean("echo").value_or(false);
  PrintAnswer prompt = echo ? submit_prompt(answering, loop, request, result) : [] {};
  result.prompt_tokens = request.prompt.size();
  ordered_json asked = {{key, line[key]}};
  if (line.contains("id")) asked["id"] = line["id"];
  PrintAnswer answer = submit(answering, loop, std::move(asked), std::move(request), use);
  return {key, [prompt, answer] { prompt(), answer(); }};
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
  const auto begin = [&](const json& given, JsonText& text) -> PrintAnswer {
    const bool openai = is_openai(given);
    const json line = openai ? from_openai(given) : given;
    const ordered_json others = other_fields(line, request_keys());
    if (openai && !others.empty()) {
      throw Error("[E128] This program has nothing like {} in the \"body\" of a batch line.",
                  {quote(others.begin().key())});
    }
    const auto result = std::make_shared<LineResult>();
    const auto [key, answer] = submit_line(answering, loop, line, openai, *result);
    if (openai) {
      return [&text, &answering, result, answer = answer, heading = openai_heading(given)] {
        answer();
        text = {};
        text.set_all(to_openai(heading, answering.model().name, result->choices, result->usage()));
      };
    }
    text.set(key, line[key]);
    return [&text, result, answer = answer, others] {
      answer();
      text.set_list("answers", result->answers);
      if (!result->prompt.empty()) text.set_list("prompt_tokens", result->prompt);
      if (!result->candidates.is_null()) text.set("choices", result->candidates);
      text.set("usage", result->usage());
      text.set_all(others);
    };
  };
  return loop.run_json(answering.model().name, &answering.engine(), answering.max_sequences(),
                       begin);
}

}  // namespace aira
