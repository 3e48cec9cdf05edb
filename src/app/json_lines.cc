#include "app/json_lines.h"

#include <limits>
#include <utility>

#include "app/openai_batch.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "run/request_options.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

void to_json(ordered_json& to, const TokenLogProbability& token) {
  to = {{"id", token.token}, {"logprob", token.log_probability}};
}

namespace {

/// Names that output lines use.
const Keys kOutputKeys = {"answers", "error",         "ids",    "is_greedy", "line", "logprob",
                          "model",   "prompt_tokens", "scores", "tokens",    "usage"};

std::string letters_of(std::string_view name) {
  std::string letters;
  for (const char letter : name) {
    if (letter != '_' && letter != '-') letters += static_cast<char>(letter | 0x20);
  }
  return letters;
}

/// The one of `known` that `key` is a slip of, if it cannot well be a name of its own: "step" is no
/// "stop", and "prompt_id" goes with a prompt.
std::string mistyped(const std::string& key, const Keys& known) {
  const std::string elsewhere(option_called(key));
  if (known.contains(elsewhere)) return elsewhere;
  const std::vector<std::string> names(known.begin(), known.end());
  std::string meant = nearest(key, names);
  if (letters_of(key) == letters_of(meant)) return meant;
  const auto difference = std::ssize(meant) - std::ssize(key);
  const bool is_id = key.ends_with("_id") && meant == key + "s";
  return key.size() < 5 || difference > 2 || difference < -2 || is_id ? "" : meant;
}

}  // namespace

std::string& JsonText::begin(std::string_view key) {
  text_ += text_.empty() ? '{' : ',';
  return text_.append(json_text(key)) += ':';
}

void JsonText::set(std::string_view key, const ordered_json& value) {
  begin(key) += json_text(value);
}

void JsonText::set_list(std::string_view key, std::span<const std::string> texts) {
  std::string& text = begin(key) += '[';
  for (const std::string& one : texts) {
    if (text.back() != '[') text += ',';
    text += one;
  }
  text += ']';
}

void JsonText::set_all(const ordered_json& fields) {
  for (const auto& [key, value] : fields.items()) set(key, value);
}

Keys keys_of(const json& line, const Keys& known) {
  Keys keys;
  for (const auto& [key, value] : line.items()) {
    if (known.contains(key) && !value.is_null()) keys.insert(key);
  }
  return keys;
}

ordered_json other_fields(const json& line, const Keys& known) {
  ordered_json others = ordered_json::object();
  for (const auto& [key, value] : line.items()) {
    if (key == "id" || known.contains(key)) continue;
    if (kOutputKeys.contains(key)) {
      throw Error("[E110] The output has a field {} of its own; give this one another name.",
                  {quote(key)});
    }
    if (const std::string meant = mistyped(key, known); !meant.empty()) {
      throw Error("[E111] The field {} looks like {}; write it so, or give it another name.",
                  {quote(key), quote(meant)});
    }
    others[key] = value;
  }
  return others;
}

ordered_json failure_of(const json& line, std::int64_t number) {
  if (is_openai(line)) {
    const json id = line.value("custom_id", json());
    return {{"id", "batch_req_" + (id.is_string() ? id.get<std::string>() : id.dump())},
            {"custom_id", id},
            {"line", number},
            {"response", nullptr}};
  }
  return {{"id", line.contains("id") ? line["id"] : json()}, {"line", number}};
}

void add_error(ordered_json& failure, const Error& error) {
  failure["error"] = ordered_json::object();
  if (!error.id().empty()) failure["error"]["code"] = error.id();
  failure["error"]["message"] = error.with_fields();
}

std::vector<std::int32_t> token_ids(const JsonObject& line, const std::string& key) {
  const json* value = line.find(key);
  if (value != nullptr && !value->is_array())
    line.fail(key, message("a list of token ids"), *value);
  const std::vector<std::int64_t> ids =
      line.integers(key, {.from = 0, .to = std::numeric_limits<std::int32_t>::max()});
  return {ids.begin(), ids.end()};
}

std::vector<std::string> tokens_of(const Score& score) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < score.tokens.size(); ++i) {
    ordered_json token = score.tokens[i];
    if (i < score.top.size()) token["top"] = score.top[i];
    tokens.push_back(json_text(token));
  }
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
  loop.expect(std::ssize(request.ids), request.logprobs);
  const Ticket ticket = engine.submit(std::move(request), std::move(listener));
  return [ticket] { ticket.wait(); };
}

}  // namespace aira
