// Questions and answers on a terminal. Ctrl-C stops the running answer, Ctrl-D leaves.
#include "app/chat.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "app/interrupt.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {
namespace {

/// Typed alone they are meant for the program.
constexpr std::array<std::string_view, 6> kFarewells = {"exit",   "quit",   "sair",
                                                        "exit()", "quit()", ":q"};

}  // namespace

Chat::Chat(const AskOptions& options)
    : options_(options),
      answering_(options),
      editor_([this](std::string_view line) { return complete(line); }),
      request_(options.request),
      history_(options.history) {}

void Chat::run() {
  catch_interrupts();
  if (!options_.quiet && ::isatty(STDERR_FILENO) == 1) {
    note(message("{}; /help lists the commands, Ctrl-D leaves.",
                 {printable(answering_.model().name)}));
    if (answering_.model().found == "built in") {
      print_aside(
          message(R"(This demonstration knows capitals, arithmetic up to 20, definitions and some
famous people, in Portuguese. To get Aira itself, leave and give this command:
aira-cli pull
)"));
    }
  }
  if (history_) keep_history(true);
  while (const std::optional<std::string> line = leaving_ ? std::nullopt : editor_.read()) {
    if (line->find_first_not_of(" \t\n") == std::string::npos) continue;
    const std::optional<Error> problem = problem_in([&] {
      if (line->starts_with('/') && line->find('\n') == std::string::npos) {
        command(*line);
      } else if (std::find(kFarewells.begin(), kFarewells.end(), *line) != kFarewells.end()) {
        say(message("/exit leaves the chat. To ask {}, put a space before it.\n", {quote(*line)}));
      } else {
        ask(*line);
      }
    });
    if (problem) editor_.report(*problem);
  }
}

/// Throws Error for what this chat cannot do.
void Chat::check(const RequestChanges& request) {
  GenerateOptions options = request.over(answering_.defaults());
  if (options.logprobs >= 0 && !options_.show_probs) {
    throw Error("[E202] {} is for --jsonl, where it is printed; the chat has no place for it.",
                {option("logprobs")});
  }
  ShowProbs(options_).ask_for(options);
  // The engine knows best what else does not go together.
  Engine& engine = answering_.engine();
  engine.cancel(engine.submit(answering_.request("?", options)));
}

/// The question after as many of the first `turns` turns as leave room for the answer: all the
/// tokens it may have, as far as that is a quarter of the context at most.
GenerateRequest Chat::request(const std::string& question, const GenerateOptions& options,
                              std::size_t turns) {
  if (!history_) return answering_.request(question, options);
  const std::int64_t context = answering_.engine().info().context;
  const std::int64_t room = std::min(options.max_new_tokens, context / 4);
  for (std::size_t first = left_out_;; ++first) {
    GenerateRequest request = answering_.request(
        question, options, std::span(turns_).subspan(first, turns - std::min(first, turns)));
    if (first < turns && std::ssize(request.prompt) + room > context) continue;
    if (first > 0 && left_out_ == 0 && !options_.quiet) {
      note(
          message("the dialogue has grown longer than the model's context of {} tokens: its oldest "
                  "turns are left out from now on.",
                  {std::to_string(context)}));
    }
    left_out_ = first;
    return request;
  }
}

/// `again`: its answer takes the place of the one before, and it does not get the same seed.
void Chat::ask(const std::string& question, bool again) {
  GenerateOptions options = in_use();
  if (last_seed_ && (again || !fixed_seed())) options.seed = *last_seed_ + 1;
  const std::size_t before = turns_.size() - (again && answered_ ? 1 : 0);
  answered_ = answered_ && again;
  last_question_ = question;
  const GenerateRequest asked = request(question, options, before);
  last_seed_ = options.seed;
  const std::vector<Answer> answers = answering_.stream(asked, question);
  if (answers.front().finish != FinishReason::kInterrupted) {
    turns_.resize(before);
    turns_.emplace_back(question, answer_text(answers.front()));
    answered_ = true;
  }
  if (answers.back().finish == FinishReason::kInterrupted) clear_interrupt();
}

/// In a --template with the white space before it, as the model said it.
std::string Chat::answer_text(const Answer& answer) {
  const std::string said = answering_.engine().tokenizer().decode(answer.token_ids, true);
  const std::size_t before = options_.form ? said.find(answer.text) : 0;
  return before == std::string::npos ? answer.text : said.substr(0, before) + answer.text;
}

int run_chat(const AskOptions& options) {
  Chat(options).run();
  return kDone;
}

}  // namespace aira
