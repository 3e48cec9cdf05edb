// The uses of a LineLoop: questions as plain lines or as JSON lines with options of their own,
// score and tokenize.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#include "app/ask.h"
#include "app/lines.h"
#include "base/printable.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

// For nlohmann, which finds them by the type that they convert.

static void to_json(ordered_json& to, const TokenLogProbability& token) {
  to = {{"id", token.token}, {"logprob", token.log_probability}};
}

static void to_json(ordered_json& to, const Choice& choice) {
  to = choice.chosen;
  to["top"] = choice.top;
}

namespace {

using Keys = std::set<std::string>;

/// The keys of `line` that are not null, less "id". Throws Error when one is not among `known`.
Keys keys_of(const json& line, const Keys& known) {
  Keys keys;
  for (const auto& [key, value] : line.items()) {
    if (key == "id") continue;
    if (!known.contains(key)) throw Error("The key " + quote(key) + " means nothing here.");
    if (!value.is_null()) keys.insert(key);
  }
  return keys;
}

/// A list of token ids; empty when the key is missing. Throws Error when it is something else.
std::vector<std::int32_t> token_ids(const JsonObject& line, const std::string& key) {
  const json* value = line.find(key);
  if (value != nullptr && !value->is_array()) line.fail(key, "a list of token ids", *value);
  const std::vector<std::int64_t> ids =
      line.integers(key, {.from = 0, .to = std::numeric_limits<std::int32_t>::max()});
  return {ids.begin(), ids.end()};
}

using UseAnswer = std::function<void(std::size_t number, const Answer& answer)>;

/// Calls `use` with each whole answer, on the printing thread.
PrintAnswer submit(Answering& answering, LineLoop& loop, std::vector<std::int32_t> prompt,
                   const GenerateOptions& options, UseAnswer use) {
  Listener listener;
  listener.finished = [&answering, &loop, seed = options.seed, use = std::move(use)](
                          std::size_t number, const Answer& answer) {
    if (answer.finish == FinishReason::kInterrupted) return;
    use(number, answer);
    loop.progress().add_tokens(answer.token_ids.size());
    if (answering.options().stats) loop.progress().clear();
    answering.print_stats(answer, seed);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  const Ticket ticket =
      answering.engine().submit(GenerateRequest{std::move(prompt), options}, std::move(listener));
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

/// The key of the prompt, and the prompt's ids.
std::pair<std::string, std::vector<std::int32_t>> prompt_of(Answering& answering,
                                                            const json& line) {
  const JsonObject object(line, "The line");
  const std::optional<std::string> question = object.text("question");
  const std::optional<std::string> text = object.text("prompt");
  std::vector<std::int32_t> ids = token_ids(object, "prompt_ids");
  const bool by_ids = object.find("prompt_ids") != nullptr;
  if (question.has_value() + text.has_value() + by_ids != 1) {
    throw Error(R"(A line needs "question", "prompt" or "prompt_ids", one of them.)");
  }
  if (question) return {"question", answering.prompt(*question)};
  if (text) return {"prompt", answering.engine().prompts().raw(*text)};
  if (ids.empty()) throw Error(R"(The list of "prompt_ids" is empty.)");
  return {"prompt_ids", std::move(ids)};
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

/// The ids to score, from texts or from ids.
ScoreRequest request_of(const Prompts& prompts, const json& line) {
  const Keys keys =
      keys_of(line, {"context", "continuation", "text", "context_ids", "continuation_ids"});
  const bool by_ids =
      keys == Keys{"continuation_ids"} || keys == Keys{"context_ids", "continuation_ids"};
  if (!by_ids && keys != Keys{"text"} && keys != Keys{"context", "continuation"}) {
    throw Error(
        "A line needs \"context\" and \"continuation\", or \"text\" alone, or \"context_ids\" and "
        "\"continuation_ids\".");
  }
  const JsonObject object(line, "The line");
  std::vector<std::int32_t> ids = by_ids ? token_ids(object, "context_ids")
                                         : prompts.plain(object.text("context").value_or(""));
  const bool rolling = ids.empty();
  if (rolling) ids.push_back(prompts.text_start());
  const auto first = std::ssize(ids);
  const std::vector<std::int32_t> scored =
      by_ids ? token_ids(object, "continuation_ids")
             : prompts.plain(*object.text(keys.contains("text") ? "text" : "continuation"));
  ids.insert(ids.end(), scored.begin(), scored.end());
  return {.ids = std::move(ids), .first = first, .rolling = rolling};
}

int run_score(const CommonOptions& options) {
  LineLoop loop(options);
  Engine engine(engine_options(options, find_model(options), options.batch));
  const auto begin = [&](const json& line, ordered_json& result) -> PrintAnswer {
    Listener listener;
    listener.scored = [&loop, &result](const Score& score) {
      loop.progress().add_tokens(score.tokens.size());
      result["logprob"] = score.logprob;
      result["is_greedy"] = score.is_greedy;
      result["tokens"] = score.tokens;
    };
    listener.failed = [](const Error& error) { throw Error(error); };
    const Ticket ticket = engine.submit(request_of(engine.prompts(), line), std::move(listener));
    return [ticket] { ticket.wait(); };
  };
  return loop.run_json(&engine, options.batch, begin);
}

struct TokenizeOptions : CommonOptions {
  bool plain = false;
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
  const auto convert = [&](const std::string& line) -> PrintAnswer {
    const std::string result = options.decode ? one_line(tokenizer.decode(parse_ids(line), false))
                                              : joined(tokenizer.encode(line, added));
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
      result["ids"] = tokenizer.encode(*object.text(key), added);
    }
    return [] {};
  };
  return options.json ? loop.run_json(nullptr, 1, convert_json) : loop.run(nullptr, 1, 1, convert);
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
    return submit(answering, loop, answering.prompt(line), request, use);
  };
  return loop.run(&answering.engine(), answering.max_sequences(), request.answers, begin);
}

int run_json_lines(const AskOptions& options) {
  LineLoop loop(options);
  Answering answering(options, true);
  const auto begin = [&](const json& line, ordered_json& result) {
    auto [key, prompt] = prompt_of(answering, line);
    const GenerateOptions request = options_of(answering, line);
    result[key] = line[key];
    result["answers"] = ordered_json::array();
    const auto use = [&result, choices = request.logprobs >= 0](std::size_t, const Answer& answer) {
      result["answers"].push_back(to_json(answer, choices));
    };
    return submit(answering, loop, std::move(prompt), request, use);
  };
  return loop.run_json(&answering.engine(), answering.max_sequences(), begin);
}

Action set_up_score(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  app.description(
      R"(aira-cli score [options]          Compute the log-likelihood of given texts
{"context", "continuation"}, {"text"} or {"context_ids", "continuation_ids"}
  -> {"logprob", "is_greedy", "tokens": [{"id", "logprob"}]}
A text without a context may be longer than the model's context: it is scored in windows.)");
  app.footer(R"(Examples:
  echo '{"context": "A capital de Portugal é", "continuation": " Lisboa"}' | aira-cli score)");
  add_model_options(app, *options, true);
  add_file(app, *options, "One JSON object per line; - is stdin");
  add_batch(app, *options);
  add_quiet(app, *options);
  return [options] { return run_score(*options); };
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
  app.add_flag("--decode", options->decode, "Convert ids to text");
  add_quiet(app, *options);
  app.final_callback([options] {
    if (options->plain && options->decode) {
      throw UsageError("--plain is about text and --decode about ids; use one of them.");
    }
  });
  return [options] { return run_tokenize(*options); };
}

}  // namespace aira
