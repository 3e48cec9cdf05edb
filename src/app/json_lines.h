// The loop that all JSON-lines commands share: an object in, an object or an error out in its
// place.
#pragma once

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "app/line_reader.h"

namespace aira {

using JsonAnswer = std::function<nlohmann::ordered_json(const nlohmann::json& line)>;

/// Prints answer(line) for every line, the line's "id" first when it has one; for a line that is no
/// JSON object, or when `answer` throws Error: {"id", "error": {"message"}}. Returns the exit code.
int answer_json_lines(LineReader& lines, const JsonAnswer& answer);

/// Throws Error when `line` has a key that is not among `known` (nor "id").
void refuse_other_keys(const nlohmann::json& line, std::initializer_list<std::string_view> known);

/// The text under `key`; nothing when there is none. Throws Error when it is something else.
std::optional<std::string> text_of(const nlohmann::json& line, const std::string& key);

}  // namespace aira
