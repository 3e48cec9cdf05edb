// What all JSON-lines commands share: an object in, an object or an error out in its place.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aira/error.h"
#include "app/line_reader.h"
#include "app/progress.h"
#include "run/scheduler.h"

namespace aira {

/// A line's answer; nothing as long as it is not there. Throws Error when there will be none.
using JsonAnswer = std::function<std::optional<nlohmann::ordered_json>()>;

/// Prints what begin(line) comes to for every line, in order, the line's "id" first when it has
/// one; for a line that is no JSON object, or when there is an Error: {"id", "error": {"message"}}.
/// `scheduler` may be null when answers are there at once. Returns the exit code.
int answer_json_lines(LineReader& lines, Scheduler* scheduler, Progress& progress,
                      const std::function<JsonAnswer(const nlohmann::json& line)>& begin);

/// What `pending` has come to. Throws Error when that is a problem.
template <typename Result>
const Result* result_of(const Pending<Result>& pending) {
  if (pending.problem) throw Error(*pending.problem);
  return pending.done ? &pending.result : nullptr;
}

/// Throws Error when `line` has a key that is not among `known` (nor "id").
void refuse_other_keys(const nlohmann::json& line, std::initializer_list<std::string_view> known);

/// The text under `key`; nothing when there is none. Throws Error when it is something else.
std::optional<std::string> text_of(const nlohmann::json& line, const std::string& key);

/// The token ids under `key`; nothing when there are none. Throws Error when it is something else.
std::optional<std::vector<std::int32_t>> ids_of(const nlohmann::json& line, const std::string& key);

}  // namespace aira
