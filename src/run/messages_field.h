// "messages", a dialogue as OpenAI's interface and chat templates write it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "aira/prompts.h"

namespace aira {

struct Messages {
  std::string system;  // empty: none
  std::vector<Prompts::Turn> turns;
  std::string question;
};

/// Of a list of {"role", "content"}: first "system" (or "developer"), if any, then "user" and
/// "assistant" in turn, "user" last. A content is a text or a list of {"type": "text", "text"}.
/// Throws Error.
Messages messages_of(const nlohmann::json& messages);

}  // namespace aira
