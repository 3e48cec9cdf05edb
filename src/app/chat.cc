// Questions and answers on a terminal. Ctrl-C stops the running answer, Ctrl-D leaves.
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "aira/error.h"
#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_editor.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr const char* kHelp =
    "/help                 this list\n"
    "/reset                forget the dialogue and the options set here\n"
    "/seed [N]             show or set the seed\n"
    "/params [NAME VALUE]  show the request options or set one, e.g. /params temperature 0.7\n"
    "/exit                 leave (so does Ctrl-D)\n"
    "Ctrl-C stops the running answer. Put a space before a question that begins with /.\n";

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
  explicit Chat(const AskOptions& options)
      : options_(options), answering_(options), request_(options.request) {}

  void run();

 private:
  enum class Next : std::uint8_t { kContinue, kLeave };

  Next command(std::string_view line);
  void set(const std::string& name, std::string_view value);
  void show_params(const std::string& only) const;
  void ask(const std::string& question);
  GenerateOptions in_use() const { return request_.over(answering_.engine().defaults()); }

  const AskOptions& options_;
  Answering answering_;
  RequestChanges request_;  // the command line's, changed by /params
  std::vector<std::pair<std::string, std::string>> turns_;
};

void Chat::run() {
  catch_interrupts();
  if (!options_.quiet && ::isatty(STDERR_FILENO) == 1) {
    note(printable(answering_.model_name()) + "; /help lists the commands, Ctrl-D leaves.");
  }
  LineEditor editor;
  while (const std::optional<std::string> line = editor.read()) {
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    editor.remember(*line);
    Next next = Next::kContinue;
    const std::optional<Error> problem = problem_in([&] {
      if (line->starts_with('/')) {
        next = command(*line);
      } else {
        ask(*line);
      }
    });
    if (problem) report_error(problem->with_fields());
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
    request_ = options_.request;
    print_aside("dialogue and options are reset\n");
  } else if (name == "/seed") {
    if (!line.empty()) set("seed", line);
    print_aside("seed " + std::to_string(in_use().seed) + "\n");
  } else if (name == "/params") {
    const std::string setting = take_word(line);
    if (!setting.empty()) set(setting, line);
    show_params(setting);
  } else {
    throw Error("There is no command " + quote(name) + "; /help lists them.");
  }
  return Next::kContinue;
}

void Chat::set(const std::string& name, std::string_view value) {
  if (value.empty()) throw Error("/params needs a name and a value.");
  RequestChanges changed = request_;
  const std::array<std::string, 1> words = {std::string(value)};
  changed.set_words(request_option(name), words);
  // Refuses what does not go together.
  if (changed.over(answering_.engine().defaults()).logprobs >= 0) {
    throw Error("logprobs are printed with --jsonl alone; the chat has no place for them.");
  }
  request_ = std::move(changed);
}

/// All of them, or the one that was set.
void Chat::show_params(const std::string& only) const {
  const GenerateOptions options = in_use();
  for (const RequestOption& row : request_options()) {
    const nlohmann::json value = row.value(options);
    if (value.is_null() || (!only.empty() && row.name != only)) continue;
    print_aside(std::string(row.name) + " " +
                value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
}

void Chat::ask(const std::string& question) {
  const std::vector<Answer> answers =
      answering_.stream(options_.history ? answering_.engine().prompts().question(question, turns_)
                                         : answering_.prompt(question),
                        in_use());
  if (answers.front().finish != FinishReason::kInterrupted && options_.history) {
    turns_.emplace_back(question, answers.front().text);
  }
  if (answers.back().finish == FinishReason::kInterrupted) clear_interrupt();
}

}  // namespace

int run_chat(const AskOptions& options) {
  Chat(options).run();
  return kDone;
}

}  // namespace aira
