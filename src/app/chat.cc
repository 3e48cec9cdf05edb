// Questions and answers on a terminal. Ctrl-C stops the running answer, Ctrl-D leaves.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_editor.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::string_view kBlanks = " \t";

constexpr const char* kHelp =
    "/help                 this list\n"
    "/reset                forget the dialogue and the options set here\n"
    "/seed [N]             show or set the seed\n"
    "/params [NAME VALUE]  show the request options or set one, e.g. /params temperature 0.7\n"
    "/exit                 leave (so does Ctrl-D)\n"
    "Ctrl-C stops the running answer. Put a space before a question that begins with /.\n";

/// The first word of `text`, which loses it and the blanks around it.
std::string take_word(std::string_view& text) {
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

  void run() {
    catch_interrupts();
    if (!options_.quiet && ::isatty(STDERR_FILENO) == 1) {
      note(printable(answering_.model_name()) + "; /help lists the commands, Ctrl-D leaves.");
    }
    if (options_.history && !options_.form && !options_.quiet &&
        answering_.engine().prompts().has_markers()) {
      note("this model was trained on single questions; with --history it may answer worse.");
    }
    LineEditor editor;
    while (const std::optional<std::string> line = leaving_ ? std::nullopt : editor.read()) {
      if (line->find_first_not_of(kBlanks) == std::string::npos) continue;
      const std::optional<Error> problem =
          problem_in([&] { line->starts_with('/') ? command(*line) : ask(*line); });
      if (problem) report_error(*problem, {}, true);
    }
  }

 private:
  void command(std::string_view line) {
    const std::string name = take_word(line);
    if (name == "/exit") {
      leaving_ = true;
    } else if (name == "/help") {
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
  }

  void set(const std::string& name, std::string_view value) {
    if (value.empty()) throw Error("/params needs a name and a value.");
    RequestChanges changed = request_;
    changed.set_words(request_option(name), std::array{std::string(value)});
    // Refuses what does not go together.
    if (changed.over(answering_.engine().defaults()).logprobs >= 0 && !options_.show_probs) {
      throw Error("logprobs are printed with --jsonl alone; the chat has no place for them.");
    }
    request_ = std::move(changed);
  }

  /// All of them, or the one that was set.
  void show_params(const std::string& only) {
    const GenerateOptions options = in_use();
    for (const RequestOption& row : request_options()) {
      const nlohmann::json value = row.value(options);
      if (value.is_null() || (!only.empty() && row.name != only)) continue;
      print_aside(std::string(row.name) + " " +
                  value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    }
  }

  /// The question after as many turns as leave room for the answer: all the tokens it may have, as
  /// far as that is a quarter of the context at most.
  GenerateRequest request(const std::string& question) {
    const GenerateOptions options = in_use();
    const std::int64_t context = answering_.engine().info().context;
    const std::int64_t room = std::min(options.max_new_tokens, context / 4);
    for (;;) {
      GenerateRequest request = answering_.request(question, options, turns_);
      if (turns_.empty() || std::ssize(request.prompt) + room <= context) return request;
      turns_.erase(turns_.begin());
      if (!std::exchange(dropped_, true) && !options_.quiet) {
        note("the dialogue has grown longer than the model's context of " +
             std::to_string(context) + " tokens: its oldest turns are left out from now on.");
      }
    }
  }

  void ask(const std::string& question) {
    const std::vector<Answer> answers = answering_.stream(request(question));
    if (answers.front().finish != FinishReason::kInterrupted && options_.history) {
      turns_.emplace_back(question, answer_text(answers.front()));
    }
    if (answers.back().finish == FinishReason::kInterrupted) clear_interrupt();
  }

  /// In a --template with the white space before it, as the model said it.
  std::string answer_text(const Answer& answer) {
    const std::string said = answering_.engine().tokenizer().decode(answer.token_ids, true);
    const std::size_t before = options_.form ? said.find(answer.text) : 0;
    return before == std::string::npos ? answer.text : said.substr(0, before) + answer.text;
  }

  GenerateOptions in_use() { return request_.over(answering_.engine().defaults()); }

  const AskOptions& options_;
  Answering answering_;
  RequestChanges request_;  // the command line's, changed by /params
  std::vector<Prompts::Turn> turns_;
  bool dropped_ = false;  // turns were left out
  bool leaving_ = false;
};

}  // namespace

int run_chat(const AskOptions& options) {
  Chat(options).run();
  return kDone;
}

}  // namespace aira
