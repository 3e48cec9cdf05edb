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

/// `defaults` with the options of the command line and over these those of the line. Throws Error.
GenerateOptions options_of(RequestChanges request, const GenerateOptions& defaults,
                           const nlohmann::json& line);

/// The option that a field of a line sets, by its own name or that of other programs; null: none.
const RequestOption* option_of(std::string_view key);

}  // namespace aira
