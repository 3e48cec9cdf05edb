// Request options as fields of a JSON object: a line of input, the body of a request.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "run/request_options.h"

namespace aira {

/// Names of fields that are options under another name, of transformers or OpenAI.
std::vector<std::string_view> other_option_fields();

/// The option that a field sets, by its own name or one of those; null: none.
const RequestOption* option_of(std::string_view key);

/// `defaults` with the options of the command line and over these those of the object. Throws
/// Error.
GenerateOptions options_of(RequestChanges request, const GenerateOptions& defaults,
                           const nlohmann::json& object);

}  // namespace aira
