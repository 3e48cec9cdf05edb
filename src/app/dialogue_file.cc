#include "app/dialogue_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json to_json(const Dialogue& dialogue, bool with_seed) {
  const GenerateOptions options = dialogue.params.laid_over({});
  ordered_json params = ordered_json::object();
  for (const RequestOption& row : request_options()) {
    if (!dialogue.params.has(row) || (row.name == std::string_view("seed") && !with_seed)) continue;
    if (json value = row.value(options); !value.is_null()) params[row.name] = std::move(value);
  }
  ordered_json messages = ordered_json::array();
  for (const auto& [question, answer] : dialogue.turns) {
    messages.push_back({{"role", "user"}, {"content", question}});
    messages.push_back({{"role", "assistant"}, {"content", answer}});
  }
  return {{"model", dialogue.model},
          {"history", dialogue.history},
          {"params", std::move(params)},
          {"messages", std::move(messages)}};
}

/// A question and its answer out of two messages.
Prompts::Turn turn_of(const json& question, const json& answer, const std::string& file) {
  Prompts::Turn turn;
  const auto read = [&](const json& message, const char* role, std::string& content) {
    const JsonObject object(message, file);
    if (object.text("role").value_or("") != role) {
      throw Error("[E208] {}: the \"messages\" must be \"user\" and \"assistant\" in turn.",
                  {file});
    }
    content = object.text("content").value_or("");
  };
  read(question, "user", turn.first);
  read(answer, "assistant", turn.second);
  return turn;
}

}  // namespace

void save_dialogue(const Dialogue& dialogue, const std::string& path, bool with_seed) {
  const std::string unfinished = path + ".unfinished";
  errno = 0;
  std::ofstream file(unfinished, std::ios::trunc);
  file << to_json(dialogue, with_seed).dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  file.close();
  std::error_code problem(errno, std::generic_category());
  if (file) {
    std::filesystem::rename(unfinished, path, problem);
    if (!problem) return;
  }
  std::error_code unused;
  std::filesystem::remove(unfinished, unused);
  throw Error("[E209] Writing {} failed: {}.", {quote(path, 4096), problem.message()});
}

Dialogue load_dialogue(const std::string& path, RequestChanges params) {
  const std::string name = quote(path, 4096);
  const std::optional<File> file = map_file(path);
  if (!file) throw Error("[E210] There is no file {}.", {name});
  const json content = parse_json(file->text(), name);
  const JsonObject object(content, name);
  Dialogue dialogue = {object.text("model").value_or(""),
                       object.boolean("history").value_or(false),
                       std::move(params),
                       {}};
  if (const json* settings = object.find("params")) {
    static_cast<void>(JsonObject(*settings, name));  // throws when it is none
    for (const auto& [key, value] : settings->items()) {
      dialogue.params.set_field(request_option(key), value);
    }
  }
  const json* messages = object.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->size() % 2 != 0) {
    throw Error(
        "[E211] {} is not a dialogue that /save has written: its \"messages\" must be a list "
        "of questions and answers.",
        {name});
  }
  for (std::size_t i = 0; i < messages->size(); i += 2) {
    dialogue.turns.push_back(turn_of((*messages)[i], (*messages)[i + 1], name));
  }
  return dialogue;
}

}  // namespace aira
