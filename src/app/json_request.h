// A JSON line with a question, a prompt or token ids, and options of its own, as a request.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "app/answering.h"
#include "app/json_lines.h"

namespace aira {

/// The keys of a line that say what is asked and how.
const Keys& request_keys();

/// The key of the prompt, and the request. Throws Error.
std::pair<std::string, GenerateRequest> request_of(Answering& answering, const nlohmann::json& line,
                                                   const GenerateOptions& options);

}  // namespace aira
