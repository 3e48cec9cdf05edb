#include "app/openai_batch.h"

#include <nlohmann/json.hpp>
#include <set>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletions = "/v1/completions";

/// Fields that change no answer.
const std::set<std::string> kUnused = {"model", "user",         "metadata",
                                       "store", "service_tier", "safety_identifier"};

/// Fields that change an answer unless they have this value.
const json kNeutral = {{"stream", false},
                       {"echo", false},
                       {"logprobs", false},
                       {"response_format", {{"type", "text"}}},
                       {"parallel_tool_calls", true},
                       {"tools", json::array()}};

bool is_chat(const json& line) { return line["url"] == kChat; }

/// "prompt": a text, a list of token ids, or a list of one text.
void put_prompt(const json& prompt, json& ours) {
  const bool one = prompt.is_array() && prompt.size() == 1 && prompt[0].is_string();
  const bool ids = prompt.is_array() && !prompt.empty() && prompt[0].is_number();
  ours[ids ? "prompt_ids" : "prompt"] = one ? prompt[0] : prompt;
}

}  // namespace

bool is_openai(const json& line) {
  return line.contains("body") && (line.contains("custom_id") || line.contains("url")) &&
         !line.contains("question") && !line.contains("prompt");
}

json from_openai(const json& line) {
  const JsonObject object(line, message("The line"));
  if (!object.text("custom_id")) throw Error("[E124] A batch line needs a \"custom_id\".");
  const std::string url = object.text("url").value_or("");
  if (object.text("method").value_or("POST") != "POST" || (url != kChat && url != kCompletions)) {
    throw Error("[E125] The \"url\" of a batch line must be {} or {} and its \"method\" POST.",
                {kChat, kCompletions});
  }
  const json& body = line["body"];
  static_cast<void>(JsonObject(body, "\"body\""));  // throws when it is none
  json ours = json::object();
  for (const auto& [key, value] : body.items()) {
    if (value.is_null() || kUnused.contains(key)) continue;
    if (const auto neutral = kNeutral.find(key); neutral != kNeutral.end()) {
      const bool harmless = value == *neutral;
      if (harmless) continue;
      throw Error("[E126] {} in the \"body\" of a batch line can only be {} here.",
                  {quote(key), neutral->dump()});
    }
    if (key == "prompt" && !is_chat(line)) {
      put_prompt(value, ours);
    } else {
      ours[key] = value;
    }
  }
  const char* needed = is_chat(line) ? "messages" : "prompt";
  if (!ours.contains(needed) && !(ours.contains("prompt_ids") && !is_chat(line))) {
    throw Error("[E127] The \"body\" of a batch line for {} needs {}.", {url, quote(needed)});
  }
  return ours;
}

OpenaiHeading openai_heading(const json& line) { return {line["custom_id"], is_chat(line)}; }

ordered_json to_openai(const OpenaiHeading& heading, const std::string& model,
                       std::span<const OpenaiChoice> answers, const ordered_json& usage) {
  const auto& [id, chat] = heading;
  ordered_json choices = ordered_json::array();
  for (const auto& [text, cut] : answers) {
    ordered_json choice = {{"index", choices.size()}};
    if (chat) {
      choice["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      choice["text"] = text;
    }
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = cut ? "length" : "stop";
    choices.push_back(std::move(choice));
  }
  // No clock and no random ids: the same run gives the same bytes.
  ordered_json body = {{"id", (chat ? "chatcmpl-" : "cmpl-") + id},
                       {"object", chat ? "chat.completion" : "text_completion"},
                       {"created", 0},
                       {"model", model},
                       {"choices", std::move(choices)},
                       {"usage", usage}};
  return {{"id", "batch_req_" + id},
          {"custom_id", id},
          {"response", {{"status_code", 200}, {"request_id", id}, {"body", std::move(body)}}},
          {"error", nullptr}};
}

}  // namespace aira
