#include "run/messages_field.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {

using nlohmann::json;

namespace {

/// The text of message `number`, counted from 1.
std::string content_of(const json& message, std::size_t number) {
  const json* content = JsonObject(message, aira::message("The message")).find("content");
  if (content != nullptr && content->is_string()) return content->get<std::string>();
  std::string text;
  bool is_text = content != nullptr && content->is_array();
  for (std::size_t at = 0; is_text && at < content->size(); ++at) {
    const json& part = (*content)[at];
    is_text = part.is_object() && part.value("type", json()) == "text" && part.contains("text") &&
              part["text"].is_string();
    if (is_text) text += part["text"].get<std::string>();
  }
  if (is_text) return text;
  throw Error(
      "[E113] The \"content\" of message {} must be a text, or a list of {\"type\": \"text\", "
      "\"text\": ...}.",
      {std::to_string(number)});
}

}  // namespace

Messages messages_of(const json& messages) {
  if (!messages.is_array() || messages.empty()) {
    throw Error(
        "[E114] \"messages\" must be a list of objects with a \"role\" and a \"content\", not {}.",
        {printable(messages.dump(), 120)});
  }
  Messages dialogue;
  bool asked = false;  // the last message was the user's
  for (std::size_t at = 0; at < messages.size(); ++at) {
    const std::string role =
        JsonObject(messages[at], message("The message")).text("role").value_or("");
    std::string text = content_of(messages[at], at + 1);
    if (at == 0 && (role == "system" || role == "developer")) {
      dialogue.system = std::move(text);
    } else if (role == "user" && !asked) {
      dialogue.question = std::move(text);
      asked = true;
    } else if (role == "assistant" && asked) {
      dialogue.turns.emplace_back(std::exchange(dialogue.question, {}), std::move(text));
      asked = false;
    } else {
      throw Error(
          "[E115] Message {} has the role {}; after at most one \"system\" come \"user\" and "
          "\"assistant\" in turn.",
          {std::to_string(at + 1), quote(role)});
    }
  }
  if (!asked) throw Error("[E116] The last of the \"messages\" must have the role \"user\".");
  return dialogue;
}

}  // namespace aira
