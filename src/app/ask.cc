// Asking, with and without the command `chat`: the options, which way of asking they mean, and one
// question on the command line.
#include "app/ask.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <nlohmann/json.hpp>
#include <random>

#include "app/answer_log.h"
#include "app/answering.h"
#include "app/choose.h"
#include "app/config_file.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "app/question_text.h"
#include "app/show_probs.h"
#include "app/version.h"

namespace aira {
namespace {

constexpr const char* kExamples = R"(
  aira-cli "Qual é a capital de Portugal?"
  aira-cli --temperature 0.7 --seed 1 --stats "O que é fotossíntese?"
  aira-cli < perguntas.txt > respostas.txt
  aira-cli --jsonl --num-beams 4 -n 2 < perguntas.jsonl > respostas.jsonl
  aira-cli -f perguntas.txt -o saida.txt
  aira-cli --csv pergunta < turma.csv > respostas.csv
  aira-cli --choose "12|14" "Quanto é 3 vezes 4?"
  aira-cli --raw "A capital da França é"
  aira-cli --template 'Pergunta: {}\nResposta:' -m ./gpt2 "Quem foi Pessoa?"

)";

constexpr const char* kNotes =
    to_translate(R"(The model is -m, else $AIRA_MODEL, else the one in ~/.config/aira-cli/config,
else Aira-2-portuguese-124M if it is in the Hugging Face cache, else the
built-in one. Other defaults, too, come from that file, then from the model's
generation_config.json, then from the list above. Converted weights are kept in
~/.cache/aira or in the folder $AIRA_CACHE; AIRA_CACHE=off keeps nothing.
Exit codes: 0 done, 1 failed, 2 wrong usage; a signal ends the program as such.
Messages are in English or, with AIRA_LANG=pt or in such a locale, Portuguese.)");

std::string usage() {
  std::string text =
      message(R"(Answers questions with a chat model that runs on this machine. The built-in
one, aira-mini, is a demonstration: it speaks Portuguese and knows capitals,
arithmetic up to 20, definitions and some famous people. To get Aira itself:
aira-cli pull

aira-cli [options] [QUESTION]     answer one question
aira-cli [options]                chat on a terminal; otherwise, answer each
                                  line of stdin
aira-cli [options] -f FILE        answer each line of FILE
aira-cli COMMAND [options]        see aira-cli help COMMAND

Commands:)");
  for (const Command& command : commands()) {
    if (*command.name == '\0') continue;
    text += format("\n  %-12s", command.name) + message(command.summary);
  }
  return text;
}

/// Two options, or an option and the question, that mean nothing together.
struct NotTogether {
  const char* one;
  const char* other;
  const char* sentence;
};

constexpr auto kNotTogether = std::to_array<NotTogether>({
    {"--history", "--raw",
     to_translate("[E243] --history needs the question markers that --raw leaves out.")},
    {"--template", "--raw",
     to_translate("[E244] --template puts a question into a text and --raw takes a text as it is; "
                  "use one of them.")},
    {"--numbered", "--jsonl",
     to_translate("[E245] --numbered is for lines of text; --jsonl lists the answers of a "
                  "question.")},
    {"--stats", "--quiet",
     to_translate("[E246] --stats writes to stderr what --quiet keeps from there; use one of "
                  "them.")},
    {"QUESTION", "--file",
     to_translate("[E247] Give a question or a file of questions, not both.")},
    {"QUESTION", "--jsonl",
     to_translate("[E248] --jsonl reads from stdin or -f FILE; it takes no question.")},
});

/// Refuses options that are fine alone and mean nothing together.
void check(const CLI::App& app, const AskOptions& options, bool chat) {
  const auto given = [&](const char* name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  };
  for (const NotTogether& pair : kNotTogether) {
    if (given(pair.one) && given(pair.other)) throw UsageError(pair.sentence);
  }
  if (options.plain && !options.raw && !options.json) {
    throw UsageError(
        "[E249] --plain is for the texts of --raw and --jsonl; in a question, special tokens are "
        "text anyway.");
  }
  if (options.form) Prompts::check_form(*options.form);
  if (options.request.tentative().logprobs >= 0 && !options.json && !options.show_probs) {
    throw UsageError("[E250] --logprobs needs --jsonl, where they are printed.");
  }
  if (options.question && options.question->empty() && !options.raw) {
    throw UsageError("[E251] The question is empty.");
  }
  if (options.history && !chat) {
    throw UsageError("[E252] --history is for the chat, which needs a terminal as stdin.");
  }
  if (chat && ::isatty(STDIN_FILENO) != 1) {
    throw UsageError("[E253] The chat needs a terminal as stdin.");
  }
}

int run_one_shot(const AskOptions& options) {
  Answering answering(options);
  const GenerateOptions request = options.request.over(answering.defaults());
  catch_interrupts();
  const std::vector<Answer> answers =
      answering.stream(answering.request(*options.question, request), *options.question);
  note_unread_text(options);
  return answers.back().finish == FinishReason::kInterrupted ? kInterrupted : kDone;
}

/// A --template as it was typed, with \n, \t and \\ for a line break, a tab and a backslash.
std::string unescaped(std::string_view typed) {
  std::string text;
  for (std::size_t at = 0; at < typed.size(); ++at) {
    constexpr std::string_view kEscaped = "nt\\", kMeant = "\n\t\\";
    const auto found = typed[at] == '\\' && at + 1 < typed.size() ? kEscaped.find(typed[at + 1])
                                                                  : std::string_view::npos;
    text += found == std::string_view::npos ? typed[at] : kMeant[found];
    at += found == std::string_view::npos ? 0 : 1;
  }
  return text;
}

/// That of the config file, if it has one.
void use_configured_seed(RequestChanges& request) {
  const RequestOption& row = request_option("seed");
  if (config().request.has(row)) request.set_field(row, row.value(config().request.over({})));
}

/// The chat has no question and no lines.
Action set_up(CLI::App& app, bool chat) {
  const auto options = std::make_shared<AskOptions>();
  // Short enough to be typed again; --seed overrides it.
  options->drawn_seed = std::random_device()();
  const std::array<std::string, 1> seed = {std::to_string(options->drawn_seed)};
  options->request.set_words(request_option("seed"), seed);
  add_model_options(app, *options, true);
  if (!chat) {
    add_text(app, "QUESTION", options->question, "", "");
    add_file(app, *options, message("One question per line; - is stdin").c_str());
    app.add_flag("--jsonl", options->json, message("JSON lines in and out"));
    add_csv(app, *options);
  }
  if (!chat) add_text_options(app, *options);
  add_request_options(app, options->request);
  app.option_defaults()->group(message("Asking"));
  app.add_flag("--raw", options->raw,
               message("Complete the text as it stands, without question markers"));
  app.add_flag("--plain", options->plain,
               message("Special tokens in the texts of --raw are plain text"));
  app.add_option_function<std::string>(
         "--template", [options](const std::string& typed) { options->form = unescaped(typed); },
         message("Put the question in the place of {question} or {} in TEXT"))
      ->option_text("TEXT");
  add_choose(app, *options);
  app.add_flag("--history", options->history, message("Chat: keep earlier turns in the prompt"));
  app.add_flag("--numbered", options->numbered, message("\"Response 1: \" before each answer"));
  add_batch(app, *options);
  if (!chat) add_run_options(app, *options, "ask");
  app.option_defaults()->group(message("Output"));
  app.add_flag("--no-stream", options->no_stream, message("Print an answer only when it is whole"));
  app.add_flag("--stats", options->stats,
               message("Tokens, speed, memory and seed of each answer on stderr"));
  add_show_probs(app, *options);
  add_log(app, options->log_file);
  add_quiet(app, *options);
  const auto chats = [options, chat] {
    return chat || (!options->question && !options->file && !options->json && !options->whole &&
                    options->line_end == '\n' && ::isatty(STDIN_FILENO) == 1);
  };
  app.final_callback([&app, options, chats] {
    check_text_options(*options);
    check(app, *options, chats());
    check_run(*options, !chats() && !options->question && !options->whole);
    check_choose(*options, chats());
    check_show_probs(*options, chats());
  });
  return [options, chats] {
    if (options->log_file) options->log = std::make_shared<AnswerLog>(*options->log_file);
    complete_question(*options);
    if (options->request.tentative().seed == options->drawn_seed) {
      use_configured_seed(options->request);
    }
    use_former_seed(*options);
    const int code = options->question ? run_one_shot(*options)
                     : options->json   ? run_json_lines(*options)
                     : chats()         ? run_chat(*options)
                                       : run_pipe(*options);
    return options->log ? options->log->finish(code) : code;
  };
}

}  // namespace

Action set_up_ask(CLI::App& app) {
  app.description(usage());
  app.footer(message("Examples:") + kExamples + message(kNotes));
  Action action = set_up(app, false);
  app.set_version_flag("--version", version_text, message("Print the version"));
  return action;
}

Action set_up_chat(CLI::App& app) {
  app.description(message("aira-cli chat [options]           Ask questions on a terminal"));
  app.footer(message("Within the chat, /help lists its commands."));
  return set_up(app, true);
}

}  // namespace aira
