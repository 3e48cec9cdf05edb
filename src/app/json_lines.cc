// Lines are untrusted: base/json.h bounds depth and size and refuses keys given twice.
#include "app/json_lines.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "aira/error.h"
#include "app/answer_lines.h"
#include "app/commands.h"
#include "app/output.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// One line, also for readers that take Unicode's line breaks for ends of lines.
std::string dump(const ordered_json& value) {
  std::string line = value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  constexpr std::array<std::array<std::string_view, 2>, 3> kEscapes = {
      {{"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}, {"\u0085", "\\u0085"}}};
  for (const auto& [letter, escape] : kEscapes) {
    for (std::size_t at = 0; (at = line.find(letter, at)) != std::string::npos;) {
      line.replace(at, letter.size(), escape);
    }
  }
  return line + "\n";
}

}  // namespace

int answer_json_lines(LineReader& lines, Scheduler* scheduler, Progress& progress,
                      const std::function<JsonAnswer(const json& line)>& begin) {
  std::int64_t failed = 0;
  const auto begin_line = [&](const std::string& text) -> LineAnswer {
    json id;
    ordered_json head;
    JsonAnswer answer;
    std::optional<std::string> problem = problem_in([&] {
      const json line = parse_json(text, "The line");
      if (!line.is_object()) throw Error("The line is not a JSON object.");
      if (line.contains("id")) head["id"] = id = line["id"];
      answer = begin(line);
    });
    return [&failed, id, head, answer, problem]() mutable {
      std::optional<ordered_json> body;
      if (!problem) problem = problem_in([&] { body = answer(); });
      if (problem) {
        head = {{"id", id}, {"error", {{"message", *problem}}}};
        ++failed;
      } else if (body) {
        head.update(*body);
      } else {
        return false;
      }
      print(dump(head));
      return true;
    };
  };
  if (!answer_lines(lines, scheduler, progress, begin_line)) return kInterrupted;
  if (failed == 0) return kDone;
  progress.clear();
  report_error(std::to_string(failed) + " of " + std::to_string(lines.number()) +
               " lines failed; their \"error\" says why.");
  return kFailed;
}

void refuse_other_keys(const json& line, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : line.items()) {
    if (key != "id" && std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error("The key " + quote(key) + " means nothing here.");
    }
  }
}

std::optional<std::string> text_of(const json& line, const std::string& key) {
  const auto found = line.find(key);
  if (found == line.end()) return std::nullopt;
  if (!found->is_string()) throw Error("The value of " + quote(key) + " must be a string.");
  return found->get<std::string>();
}

std::optional<std::vector<std::int32_t>> ids_of(const json& line, const std::string& key) {
  const auto found = line.find(key);
  if (found == line.end()) return std::nullopt;
  const bool ids =
      found->is_array() && std::all_of(found->begin(), found->end(), [](const json& id) {
        return id.is_number_integer() && id >= 0 && id <= 0x7fffffff;
      });
  if (!ids) throw Error("The value of " + quote(key) + " must be a list of token ids.");
  return found->get<std::vector<std::int32_t>>();
}

}  // namespace aira
