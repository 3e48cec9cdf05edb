// The log-likelihood of given texts, JSON lines in and out.
#include "aira/generate.h"

#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/json_lines.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json to_json(const Score& score) {
  ordered_json tokens = ordered_json::array();
  for (const TokenScore& token : score.tokens) {
    tokens.push_back({{"id", token.id}, {"logprob", token.logprob}});
  }
  return {
      {"logprob", score.logprob}, {"is_greedy", score.is_greedy}, {"tokens", std::move(tokens)}};
}

Score score_line(Generator& generator, const json& line) {
  refuse_other_keys(line, {"context", "continuation", "text"});
  const std::optional<std::string> context = text_of(line, "context");
  const std::optional<std::string> continuation = text_of(line, "continuation");
  const std::optional<std::string> text = text_of(line, "text");
  if (text && !context && !continuation) return generator.score("", *text);
  if (!text && context && continuation) return generator.score(*context, *continuation);
  throw Error("A line needs \"context\" and \"continuation\", or \"text\" alone.");
}

}  // namespace

int run_score(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(options);
  catch_interrupts();
  return answer_json_lines(
      lines, [&](const json& line) { return to_json(score_line(engine.generator(), line)); });
}

}  // namespace aira
