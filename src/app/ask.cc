// Asking, with and without the command `chat`: the options, and which way of asking they mean.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <random>

#include "aira/error.h"
#include "app/answering.h"
#include "app/interrupt.h"
#include "app/output.h"

namespace aira {
namespace {

constexpr const char* kExamples = R"(Examples:
  aira-cli "Qual é a capital de Portugal?"
  aira-cli --temperature 0.7 --seed 1 --stats "Escreva um poema sobre o mar."
  aira-cli < perguntas.txt > respostas.txt
  aira-cli --jsonl --num-beams 4 -n 2 < perguntas.jsonl > respostas.jsonl
  aira-cli --raw -m ./gpt2 "Era uma vez"

The model is -m, else $AIRA_MODEL, else Aira-2-portuguese-124M if it is in the Hugging Face cache,
else a small built-in one. Converted weights are kept in ~/.cache/aira, or in the folder
$AIRA_CACHE; AIRA_CACHE=off keeps nothing. Defaults shown above are overridden by the model's
generation_config.json. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.)";

std::string usage() {
  std::string text = R"(aira-cli [options] [QUESTION]     answer one question
aira-cli [options]                chat on a terminal; else one question per line of stdin
aira-cli [options] -f FILE        one question per line of FILE
aira-cli COMMAND [options]        see aira-cli help COMMAND

Commands:)";
  for (const Command& command : commands()) {
    if (*command.name == '\0') continue;
    std::string name = "\n  " + std::string(command.name);
    name.resize(13, ' ');
    text += name + command.summary;
  }
  return text;
}

/// Flags and options that the chat has too.
void add_answering(CLI::App& app, AskOptions& options) {
  // One seed for the whole run, short enough to be typed again; --seed overrides it.
  const std::array<std::string, 1> seed = {std::to_string(std::random_device()())};
  options.request.set_words(request_option("seed"), seed);
  add_request_options(app, options.request);
  app.option_defaults()->group("Asking");
  app.add_flag("--raw", options.raw, "Complete the text as it is, without question markers");
  app.add_flag("--history", options.history, "Chat: keep earlier turns in the prompt");
  app.add_flag("--numbered", options.numbered, "\"Response 1: \" before each answer");
  add_batch(app, options.batch);
}

void add_output(CLI::App& app, AskOptions& options) {
  app.option_defaults()->group("Output");
  app.add_flag("--stats", options.stats, "Tokens, speed, memory and seed of each answer on stderr");
  add_quiet(app, options);
}

/// Refuses options that are fine alone and mean nothing together.
void check(const AskOptions& options, bool chat) {
  if (options.history && options.raw) {
    throw UsageError("--history needs the question markers that --raw leaves out.");
  }
  const GenerateOptions request = options.request.over({});
  if (options.numbered && options.jsonl) {
    throw UsageError("--numbered is for lines of text; --jsonl lists the answers of a question.");
  }
  if (request.logprobs >= 0 && !options.jsonl) {
    throw UsageError("--logprobs needs --jsonl, where they are printed.");
  }
  if (options.question && options.file) {
    throw UsageError("Give a question or a file of questions, not both.");
  }
  if (options.question && options.jsonl) {
    throw UsageError("--jsonl reads from stdin or -f FILE; it takes no question.");
  }
  if (options.question && options.question->empty() && !options.raw) {
    throw UsageError("The question is empty.");
  }
  if (options.history && !chat) {
    throw UsageError("--history is for the chat, which needs a terminal as stdin.");
  }
}

}  // namespace

Action set_up_ask(CLI::App& app) {
  const auto options = std::make_shared<AskOptions>();
  app.description(usage());
  app.footer(kExamples);
  add_model_options(app, *options, true);
  add_text(app, "QUESTION", options->question, "", "");
  add_file(app, options->file, "One question per line; - is stdin");
  app.add_flag("--jsonl", options->jsonl, "JSON lines in and out");
  add_answering(app, *options);
  add_output(app, *options);
  app.set_version_flag("--version", "", "Print the version")->group("Output");
  const auto chats = [options] {
    return !options->question && !options->file && !options->jsonl && ::isatty(STDIN_FILENO) == 1;
  };
  app.final_callback([options, chats] { check(*options, chats()); });
  return [options, chats] {
    if (options->question) return run_one_shot(*options);
    if (options->jsonl) return run_json_lines(*options);
    return chats() ? run_chat(*options) : run_pipe(*options);
  };
}

Action set_up_chat(CLI::App& app) {
  const auto options = std::make_shared<AskOptions>();
  app.description("aira-cli chat [options]           Ask questions on a terminal");
  app.footer("Within the chat, /help lists its commands.");
  add_model_options(app, *options, true);
  add_answering(app, *options);
  add_output(app, *options);
  app.final_callback([options] {
    check(*options, true);
    if (::isatty(STDIN_FILENO) != 1) throw UsageError("The chat needs a terminal as stdin.");
  });
  return [options] { return run_chat(*options); };
}

int run_one_shot(const AskOptions& options) {
  Answering answering(options);
  const GenerateOptions request = options.request.over(answering.engine().defaults());
  catch_interrupts();
  const std::vector<Answer> answers =
      answering.stream(answering.prompt(*options.question), request);
  return answers.back().finish == FinishReason::kInterrupted ? kInterrupted : kDone;
}

}  // namespace aira
