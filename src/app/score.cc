// The log-likelihood of given texts, JSON lines in and out.
#include <utility>

#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/json_lines.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

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
  const std::optional<std::string> context = text_of(line, "context");
  const std::optional<std::string> continuation = text_of(line, "continuation");
  const std::optional<std::string> text = text_of(line, "text");
  const bool ids = line.contains("context_ids") || line.contains("continuation_ids");
  const bool texts = context && continuation && !text && !ids;
  if (!texts && !(text && !context && !continuation && !ids) &&
      !(ids && !context && !continuation && !text && line.contains("continuation_ids"))) {
    throw Error(
        "A line needs \"context\" and \"continuation\", or \"text\" alone, or \"context_ids\" and "
        "\"continuation_ids\".");
  }
  const Prompts& prompts = engine.prompts();
  std::vector<std::int32_t> before =
      ids ? ids_of(line, "context_ids").value_or(std::vector<std::int32_t>{})
          : prompts.plain(context.value_or(""));
  const std::vector<std::int32_t> after =
      ids ? *ids_of(line, "continuation_ids") : prompts.plain(text ? *text : *continuation);
  const bool rolling = before.empty();
  if (rolling) before.push_back(prompts.text_start());
  const auto first = static_cast<std::int64_t>(before.size());
  before.insert(before.end(), after.begin(), after.end());
  return {.ids = std::move(before), .first = first, .rolling = rolling};
}

}  // namespace

int run_score(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(options);
  catch_interrupts();
  Progress progress(!options.quiet);
  return answer_json_lines(lines, &engine.scheduler(), progress,
                           [&](const json& line) -> JsonAnswer {
                             return [pending = engine.scheduler().score(request_of(engine, line)),
                                     &progress]() -> std::optional<ordered_json> {
                               const Score* score = result_of(*pending);
                               if (score == nullptr) return std::nullopt;
                               progress.add_tokens(static_cast<std::int64_t>(score->tokens.size()));
                               return to_json(*score);
                             };
                           });
}

}  // namespace aira
