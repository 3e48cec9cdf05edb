// Lines of files for OpenAI's batch interface, {"custom_id", "method", "url", "body"}, and the
// lines that it answers with.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// Whether the line is one of those.
bool is_openai(const nlohmann::json& line);

/// The line as one of ours: "messages", "prompt" or "prompt_ids" with request options. Throws Error
/// for what this program cannot do; fields that change no answer are left out.
nlohmann::json from_openai(const nlohmann::json& line);

/// The output line for `line`, whose answers are {"text", "finish_reason", ...}.
nlohmann::ordered_json to_openai(const nlohmann::json& line, const std::string& model,
                                 const nlohmann::ordered_json& answers,
                                 const nlohmann::ordered_json& usage);

}  // namespace aira
