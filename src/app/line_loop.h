// What all commands that read lines share: the calling thread reads lines and submits them, a
// second thread prints the answers in the same order, each as soon as it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/line_reader.h"
#include "app/output.h"
#include "base/json.h"

namespace aira {

/// Waits for a line's answer and prints it, on the printing thread.
using PrintAnswer = std::function<void()>;

struct LineLoop {
  LineReader& lines;
  Progress& progress;            // for the printing thread
  std::size_t window;            // lines that may be at work or wait for an earlier one
  std::function<void()> cancel;  // called on Ctrl-C and when printing fails

  /// Calls `begin` for each line, and in order what it returned. False after Ctrl-C: the answers
  /// that were incomplete are dropped. When the input cannot be read to its end, answers what came
  /// before, then throws Error.
  bool run(const std::function<PrintAnswer(const std::string& line)>& begin) const;
};

/// Waits for the fields of a JSON line's answer. Throws Error when there is none.
using JsonAnswer = std::function<nlohmann::ordered_json()>;

/// Runs `loop` over JSON lines: prints the line's "id", if any, and the fields of its answer, or
/// {"id", "error": {"message"}}. Returns the exit code.
int run_json_loop(const LineLoop& loop,
                  const std::function<JsonAnswer(const nlohmann::json& line)>& begin);

/// Throws Error when `line` has a key that is not among `known` (nor "id").
void refuse_other_keys(const nlohmann::json& line, std::initializer_list<std::string_view> known);

/// A list of token ids; nothing when the key is missing. Throws Error when it is something else.
std::optional<std::vector<std::int32_t>> token_ids(const JsonObject& line, const std::string& key);

}  // namespace aira
