// Lines of files for OpenAI's batch interface, {"custom_id", "method", "url", "body"}, and the
// lines that it answers with.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// Whether the line is one of those.
bool is_openai(const nlohmann::json& line);

/// The line as one of ours: "messages", "prompt" or "prompt_ids" with request options. Throws Error
/// for what this program cannot do; fields that change no answer are left out.
nlohmann::json from_openai(const nlohmann::json& line);

/// What the output line takes over from the line.
struct OpenaiHeading {
  std::string custom_id;
  bool chat;
};
OpenaiHeading openai_heading(const nlohmann::json& line);
struct OpenaiChoice {
  std::string text;
  bool cut;  // at the limit of its length
};

/// The output line.
nlohmann::ordered_json to_openai(const OpenaiHeading& heading, const std::string& model,
                                 std::span<const OpenaiChoice> answers,
                                 const nlohmann::ordered_json& usage);

}  // namespace aira
