// What the commands with JSON lines share: reading keys, and scores as JSON.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/lines.h"

namespace aira {

using Keys = std::set<std::string>;

/// The text of a JSON object, written field by field: as values in memory, a long list of small
/// objects takes ten times as much.
class JsonText {
 public:
  /// `key` must be new.
  void set(std::string_view key, const nlohmann::ordered_json& value);
  /// A list of JSON texts.
  void set_list(std::string_view key, std::span<const std::string> texts);
  void set_all(const nlohmann::ordered_json& fields);

  std::string object() const { return text_ + (text_.empty() ? "{}" : "}"); }

 private:
  std::string& begin(std::string_view key);
  std::string text_;  // without the closing bracket
};

/// The keys of `line` that are not null and are among `known`.
Keys keys_of(const nlohmann::json& line, const Keys& known);

/// The fields of `line` that mean nothing here and are to be returned as they are: what is neither
/// "id" nor among `known`. Throws Error for names that the output has itself and for what is
/// probably a mistyped one of `known`.
nlohmann::ordered_json other_fields(const nlohmann::json& line, const Keys& known);

/// What stands in the place of line `number` when it fails, less the error; `line` is empty when it
/// is no JSON object: {"id", "line"}, or {"id", "custom_id", "response"} for OpenAI's batch lines.
nlohmann::ordered_json failure_of(const nlohmann::json& line, std::int64_t number);
/// Adds "error": {"code", "message"}.
void add_error(nlohmann::ordered_json& failure, const Error& error);

/// A list of token ids; empty when the key is missing. Throws Error when it is something else.
std::vector<std::int32_t> token_ids(const JsonObject& line, const std::string& key);

/// {"id", "logprob"}; for nlohmann, which finds it by the type that it converts.
void to_json(nlohmann::ordered_json& to, const TokenLogProbability& token);

/// Each token with its log-probability, and the most probable ones if those were asked for.
std::vector<std::string> tokens_of(const Score& score);

/// Calls `use` with the score on the printing thread.
PrintAnswer submit_score(Engine& engine, LineLoop& loop, ScoreRequest request,
                         std::function<void(const Score& score)> use);

}  // namespace aira
