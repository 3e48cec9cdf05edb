// The uses of a LineLoop: questions as plain lines or as JSON lines with options of their own, and
// tokenize. (score: score.cc)
#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <utility>

#include "app/ask.h"
#include "app/json_lines.h"
#include "base/printable.h"

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

/// Keys of a line that are no request options.
const Keys kPromptKeys = {"id", "question", "prompt", "prompt_ids", "template", "plain", "echo"};

/// The key of the prompt, and the request. Throws Error.
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

struct TokenizeOptions : CommonOptions {
  bool plain = false;
  bool with_template = false;
  bool decode = false;
};

std::string joined(const std::vector<std::int32_t>& ids) {
  std::string line;
  for (const std::int32_t id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
  return line;
}

/// Ids between blanks.
std::vector<std::int32_t> parse_ids(const std::string& line) {
  std::vector<std::int32_t> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    std::int32_t id = 0;
    if (!read_word(word, id) || id < 0) throw Error(quote(word) + " is not a token id.");
    ids.push_back(id);
  }
  return ids;
}

int run_tokenize(const TokenizeOptions& options) {
  LineLoop loop(options);
  const FoundModel found = find_model(options);
  const Tokenizer tokenizer = Tokenizer::load(found.files);
  const auto added = options.plain ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
  const auto encode = [&](const std::string& text) {
    return options.with_template ? tokenizer.encode_with_template(text, added)
                                 : tokenizer.encode(text, added);
  };
  const auto convert = [&](const std::string& line) -> PrintAnswer {
    const std::string result =
        options.decode ? one_line(tokenizer.decode(parse_ids(line), false)) : joined(encode(line));
    return [&loop, result] { loop.print_line(result); };
  };
  const auto convert_json = [&](const json& line, ordered_json& result) -> PrintAnswer {
    const char* key = options.decode ? "ids" : "text";
    if (keys_of(line, {key}).empty()) {
      throw Error(options.decode ? R"(A line needs "ids", a list of token ids.)"
                                 : R"(A line needs "text".)");
    }
    const JsonObject object(line, "The line");
    if (options.decode) {
      result["text"] = tokenizer.decode(token_ids(object, key), false);
    } else {
      result["ids"] = encode(*object.text(key));
    }
    return [] {};
  };
  return options.json ? loop.run_json(found.name, nullptr, 1, convert_json)
                      : loop.run(nullptr, 1, 1, convert);
}

}  // namespace

int run_pipe(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options);
  const GenerateOptions request = options.request.over(answering.engine().defaults());
  const auto use = [&](std::size_t number, const Answer& answer) {
    loop.print_line(answering.numbering(number) + one_line(answer.text));
  };
  const auto begin = [&](const std::string& line) -> PrintAnswer {
    if (line.empty()) return [] {};
    return submit(answering, loop, answering.request(line, request), use);
  };
  return loop.run(&answering.engine(), answering.max_sequences(), request.answers, begin);
}

int run_json_lines(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options, true);
  const auto begin = [&](const json& line, ordered_json& result) {
    auto [key, request] = request_of(answering, line, options_of(answering, line));
    result[key] = line[key];
    result["answers"] = ordered_json::array();
    const bool choices = request.options.logprobs >= 0;
    const auto use = [&result, choices](std::size_t, const Answer& answer) {
      result["answers"].push_back(to_json(answer, choices));
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

Action set_up_tokenize(CLI::App& app) {
  const auto options = std::make_shared<TokenizeOptions>();
  app.description(R"(aira-cli tokenize [options]       Convert lines of text to token ids, or back
JSON lines: {"text"} -> {"ids"}; with --decode {"ids"} -> {"text"})");
  app.footer(R"(Examples:
  echo "Olá, mundo" | aira-cli tokenize
  echo '{"text": "Olá<|endoftext|>"}' | aira-cli tokenize --jsonl
  echo "Olá, mundo" | aira-cli tokenize | aira-cli tokenize --decode)");
  add_model_options(app, *options, false);
  add_file(app, *options, "One text or list of ids per line; - is stdin");
  app.add_flag("--jsonl", options->json, "JSON lines in and out");
  app.option_defaults()->group("Tokens");
  app.add_flag("--plain", options->plain, "Treat special tokens in the text as plain text");
  app.add_flag("--template", options->with_template,
               "Add the ids that the tokenizer's own template puts around a text");
  app.add_flag("--decode", options->decode, "Convert ids to text");
  add_quiet(app, *options);
  app.final_callback([options] {
    if ((options->plain || options->with_template) && options->decode) {
      throw UsageError(std::string(options->plain ? "--plain" : "--template") +
                       " is about text and --decode about ids; use one of them.");
    }
  });
  return [options] { return run_tokenize(*options); };
}

}  // namespace aira
