// What the commands with JSON lines share: reading keys, and scores as JSON.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "app/lines.h"

namespace aira {

using Keys = std::set<std::string>;

/// The keys of `line` that are not null, less "id". Throws Error when one is not among `known`.
Keys keys_of(const nlohmann::json& line, const Keys& known);

/// A list of token ids; empty when the key is missing. Throws Error when it is something else.
std::vector<std::int32_t> token_ids(const JsonObject& line, const std::string& key);

/// {"id", "logprob"}; for nlohmann, which finds it by the type that it converts.
void to_json(nlohmann::ordered_json& to, const TokenLogProbability& token);

/// Each token with its log-probability, and the most probable ones if those were asked for.
nlohmann::ordered_json tokens_of(const Score& score);

/// Calls `use` with the score on the printing thread.
PrintAnswer submit_score(Engine& engine, LineLoop& loop, ScoreRequest request,
                         std::function<void(const Score& score)> use);

}  // namespace aira
