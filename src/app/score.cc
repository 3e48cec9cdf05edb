// score: the log-likelihood of given texts, JSON lines in and out.
#include <CLI/CLI.hpp>
#include <utility>

#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_loop.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct ScoreOptions : CommonOptions {
  std::optional<std::string> file;
  std::int64_t batch = 32;
};

ordered_json to_json(const Score& score) {
  ordered_json tokens = ordered_json::array();
  for (const TokenLogProbability& token : score.tokens) {
    tokens.push_back({{"id", token.token}, {"logprob", token.log_probability}});
  }
  return {
      {"logprob", score.logprob}, {"is_greedy", score.is_greedy}, {"tokens", std::move(tokens)}};
}

/// The ids to score, from texts or from ids.
ScoreRequest request_of(const Engine& engine, const json& line) {
  refuse_other_keys(line, {"context", "continuation", "text", "context_ids", "continuation_ids"});
  const JsonObject object(line, "The line");
  const std::optional<std::string> context = object.text("context");
  const std::optional<std::string> continuation = object.text("continuation");
  const std::optional<std::string> text = object.text("text");
  const std::optional<std::vector<std::int32_t>> context_ids = token_ids(object, "context_ids");
  const std::optional<std::vector<std::int32_t>> ids = token_ids(object, "continuation_ids");
  const bool pair = context && continuation && !text && !context_ids && !ids;
  const bool alone = text && !context && !continuation && !context_ids && !ids;
  const bool by_ids = ids && !context && !continuation && !text;
  if (!pair && !alone && !by_ids) {
    throw Error(
        "A line needs \"context\" and \"continuation\", or \"text\" alone, or \"context_ids\" and "
        "\"continuation_ids\".");
  }
  const Prompts& prompts = engine.prompts();
  std::vector<std::int32_t> all = by_ids ? context_ids.value_or(std::vector<std::int32_t>{})
                                         : prompts.plain(context.value_or(""));
  const std::vector<std::int32_t> scored =
      by_ids ? *ids : prompts.plain(alone ? *text : *continuation);
  const bool rolling = all.empty();
  if (rolling) all.push_back(prompts.text_start());
  const auto first = static_cast<std::int64_t>(all.size());
  all.insert(all.end(), scored.begin(), scored.end());
  return {.ids = std::move(all), .first = first, .rolling = rolling};
}

int run_score(const ScoreOptions& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(engine_options(options, find_model(options), options.batch));
  catch_interrupts();
  Progress progress(!options.quiet);
  const auto begin = [&](const json& line) -> JsonAnswer {
    const auto result = std::make_shared<ordered_json>();
    Listener listener;
    listener.scored = [&progress, &result = *result](const Score& score) {
      progress.add_tokens(score.tokens.size());
      result = to_json(score);
    };
    listener.failed = [](const Error& error) { throw Error(error); };
    const Ticket ticket = engine.submit(request_of(engine, line), std::move(listener));
    return [result, ticket] {
      ticket.wait();
      return *result;
    };
  };
  return run_json_loop({lines, progress, line_window(options.batch), [&] { engine.cancel_all(); }},
                       begin);
}

}  // namespace

Action set_up_score(CLI::App& app) {
  const auto options = std::make_shared<ScoreOptions>();
  app.description(
      R"(aira-cli score [options]          Compute the log-likelihood of given texts
{"context", "continuation"}, {"text"} or {"context_ids", "continuation_ids"}
  -> {"logprob", "is_greedy", "tokens": [{"id", "logprob"}]}
A text without a context may be longer than the model's context: it is scored in windows.)");
  app.footer(R"(Examples:
  echo '{"context": "A capital de Portugal é", "continuation": " Lisboa"}' | aira-cli score)");
  add_model_options(app, *options, true);
  add_file(app, options->file, "One JSON object per line; - is stdin");
  add_batch(app, options->batch);
  add_quiet(app, *options);
  return [options] { return run_score(*options); };
}

}  // namespace aira
