// Questions and answers on a terminal. Ctrl-C stops the running answer, Ctrl-D leaves.
#include <unistd.h>

#include <utility>

#include "aira/error.h"
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/line_editor.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr const char* kHelp =
    "/help                 this list\n"
    "/reset                forget the dialogue and the settings made here\n"
    "/seed [N]             show or set the seed\n"
    "/params [NAME VALUE]  show the sampling options or set one, e.g. /params temperature 0.7\n"
    "/exit                 leave (so does Ctrl-D)\n"
    "Ctrl-C stops the running answer. A question that begins with / is asked after a space.\n";

/// The first word of `text`, which loses it and the blanks around it.
std::string take_word(std::string_view& text) {
  constexpr std::string_view kBlanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  std::string word(text.substr(0, text.find_first_of(kBlanks)));
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return word;
}

class Chat {
 public:
  explicit Chat(const Options& options) : options_(options), engine_(options) {
    engine_.require_markers();
  }

  void run();

 private:
  enum class Next : std::uint8_t { kGoOn, kLeave };

  Next command(std::string_view line);
  void set(const std::string& name, std::string_view value);
  void show_params(const std::string& only) const;
  void ask(const std::string& question);

  const Options& options_;
  Engine engine_;
  Settings settings_;  // made here, over the command line's
  std::vector<std::pair<std::string, std::string>> turns_;
};

void Chat::run() {
  catch_interrupts();
  if (!options_.quiet && ::isatty(STDERR_FILENO) == 1) {
    note(printable(engine_.name()) + "; /help lists the commands, Ctrl-D leaves.");
  }
  LineEditor editor;
  while (const std::optional<std::string> line = editor.read()) {
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    editor.remember(*line);
    Next next = Next::kGoOn;
    const std::optional<std::string> problem = problem_in([&] {
      if (line->starts_with('/')) {
        next = command(*line);
      } else {
        ask(*line);
      }
    });
    if (problem) report_error(*problem);
    if (next == Next::kLeave) return;
  }
}

Chat::Next Chat::command(std::string_view line) {
  const std::string name = take_word(line);
  if (name == "/exit") return Next::kLeave;
  if (name == "/help") {
    print_aside(kHelp);
  } else if (name == "/reset") {
    turns_.clear();
    settings_.clear();
    print_aside("dialogue and settings are forgotten\n");
  } else if (name == "/seed") {
    if (!line.empty()) set("seed", line);
    print_aside("seed " + std::to_string(engine_.generate_options(settings_).seed) + "\n");
  } else if (name == "/params") {
    const std::string setting = take_word(line);
    if (!setting.empty()) set(setting, line);
    show_params(setting);
  } else {
    throw Error("There is no command " + quote(name) + "; /help lists them.");
  }
  return Next::kGoOn;
}

void Chat::set(const std::string& name, std::string_view value) {
  if (value.empty()) throw Error("/params needs a name and a value.");
  Settings changed = settings_;
  if (name == "stop" || name == "bad_words") {  // a text, also when it reads as a number
    changed.emplace_back(name, std::string(value));
  } else if (value == "true" || value == "false") {
    changed.emplace_back(name, value == "true");
  } else {
    changed.emplace_back(name, typed_value(value));
  }
  // Refuses what is not legal.
  if (engine_.generate_options(changed).logprobs >= 0) {
    throw Error("logprobs are printed with --jsonl alone; the chat has no place for them.");
  }
  settings_ = std::move(changed);
}

/// All of them, or the one that was set.
void Chat::show_params(const std::string& only) const {
  const nlohmann::ordered_json values = to_json(engine_.generate_options(settings_));
  for (const auto& [name, value] : values.items()) {
    if (!only.empty() && name != only) continue;
    print_aside(name + " " +
                value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                "\n");
  }
}

void Chat::ask(const std::string& question) {
  const std::vector<Answer> answers = engine_.stream(
      options_.history ? engine_.prompts().dialogue(turns_, question) : engine_.prompt(question),
      engine_.generate_options(settings_));
  if (answers.front().finish != FinishReason::kInterrupted && options_.history) {
    turns_.emplace_back(question, answers.front().text);
  }
  if (answers.back().finish == FinishReason::kInterrupted) clear_interrupt();
}

}  // namespace

int run_chat(const Options& options) {
  Chat(options).run();
  return kDone;
}

}  // namespace aira
