// The sampling options that a command line, a JSON line and the chat's /params have in common: set
// by name, checked in one place.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// A long option name with underscores ("top_k") and the value that was given for it.
using Setting = std::pair<std::string, nlohmann::json>;
using Settings = std::vector<Setting>;

/// A value from a command line: a number when it reads as one from end to end, else a string.
nlohmann::json typed_value(std::string_view text);

/// `options` changed by `settings`, the later ones over the earlier. Asking for a temperature,
/// top-k, top-p, min-p or typical-p asks for sampling, even from a model whose default is greedy.
/// Throws UsageError for an unknown name, a wrong type and a value outside its legal range.
GenerateOptions with_settings(const Settings& settings, GenerateOptions options);

/// The values in use, as a JSON object of settings.
nlohmann::ordered_json to_json(const GenerateOptions& options);

}  // namespace aira
