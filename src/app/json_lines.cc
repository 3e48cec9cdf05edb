#include "app/json_lines.h"

#include <limits>
#include <utility>

#include "base/printable.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

void to_json(ordered_json& to, const TokenLogProbability& token) {
  to = {{"id", token.token}, {"logprob", token.log_probability}};
}

Keys keys_of(const json& line, const Keys& known) {
  Keys keys;
  for (const auto& [key, value] : line.items()) {
    if (key == "id") continue;
    if (!known.contains(key)) throw Error("The key " + quote(key) + " means nothing here.");
    if (!value.is_null()) keys.insert(key);
  }
  return keys;
}

std::vector<std::int32_t> token_ids(const JsonObject& line, const std::string& key) {
  const json* value = line.find(key);
  if (value != nullptr && !value->is_array()) line.fail(key, "a list of token ids", *value);
  const std::vector<std::int64_t> ids =
      line.integers(key, {.from = 0, .to = std::numeric_limits<std::int32_t>::max()});
  return {ids.begin(), ids.end()};
}

ordered_json tokens_of(const Score& score) {
  ordered_json tokens = score.tokens;
  for (std::size_t i = 0; i < score.top.size(); ++i) tokens[i]["top"] = score.top[i];
  return tokens;
}

PrintAnswer submit_score(Engine& engine, LineLoop& loop, ScoreRequest request,
                         std::function<void(const Score& score)> use) {
  Listener listener;
  listener.scored = [&loop, use = std::move(use)](const Score& score) {
    loop.progress().add_tokens(score.tokens.size());
    use(score);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  const Ticket ticket = engine.submit(std::move(request), std::move(listener));
  return [ticket] { ticket.wait(); };
}

}  // namespace aira
