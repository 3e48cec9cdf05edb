#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "app/config_file.h"
#include "app/output.h"
#include "app/suggestions.h"
#include "app/wrap_help.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr auto kCommands = std::to_array<Command>({
    {"", to_translate("Answer questions"), set_up_ask},
    {"chat", to_translate("Ask questions on a terminal"), set_up_chat},
    {"tokenize", to_translate("Convert text to token ids, or back"), set_up_tokenize},
    {"score", to_translate("Compute the log-likelihood of given texts"), set_up_score},
    {"info", to_translate("Describe the model and where it was found"), set_up_info},
    {"pull", to_translate("Fetch a model from the Hugging Face hub"), set_up_pull},
    {"list", to_translate("List the models on this machine"), set_up_list},
    {"rm", to_translate("Remove models from the cache"), set_up_rm},
    {"doctor", to_translate("Tell what runs on this machine, and how well"), set_up_doctor},
    {"bench", to_translate("Measure speed"), set_up_bench},
    {"serve", to_translate("Answer over HTTP, and in a web chat"), set_up_serve},
    {"merge", to_translate("Join the parts that --shard has made"), set_up_merge},
    {"completion", to_translate("Print completions for bash, zsh or fish"), set_up_completion},
    {"help", to_translate("Print the help of a command, or a table of the request options"),
     set_up_help},
    {"version", to_translate("Print the version"), set_up_version},
});

std::unique_ptr<CLI::App> new_app() {
  auto app = std::make_unique<CLI::App>("", "aira-cli");
  app->set_help_flag();
  app->option_defaults()->take_last()->disable_flag_override();
  return app;
}

/// What CLI11 could not place: unknown options and surplus words.
[[noreturn]] void refuse(const CLI::App& app, const std::vector<std::string>& rest) {
  for (const std::string& word : rest) {
    if (word == "--") break;  // what follows are words
    if (word.size() > 1 && word.front() == '-') refuse_option(app, word);
  }
  if (app.get_option_no_throw("QUESTION") != nullptr) {
    throw UsageError("[E602] Several questions were given; put one question between quotes.");
  }
  throw UsageError("[E603] The word {} means nothing here.",
                   {quote(rest.front() == "--" ? rest.back() : rest.front())});
}

/// CLI11 takes "--option=" for "--option NEXT_WORD".
void refuse_empty_values(std::span<const char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") return;
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      throw UsageError("[E604] {} needs a value.", {printable(word.substr(0, word.size() - 1))});
    }
  }
}

}  // namespace

std::pair<std::unique_ptr<CLI::App>, Action> set_up(const Command& command) {
  auto app = new_app();
  app->formatter(help_format());
  Action action = command.set_up(*app);
  app->set_help_flag("-h,--help", message("Print this help"))->group(message("Output"));
  return {std::move(app), std::move(action)};
}

const Command& take_command(std::vector<const char*>& words) {
  CommonOptions unused;
  const auto app = new_app();
  add_model_options(*app, unused, true);
  add_quiet(*app, unused);
  try {
    app->prefix_command()->parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError&) {
    return kCommands.front();  // which will say what is wrong
  } catch (const UsageError&) {
    return kCommands.front();
  }
  const std::vector<std::string> rest = app->remaining();
  if (rest.empty()) return kCommands.front();
  const Command* command = find_command(rest.front());
  if (command == nullptr || rest.front().empty()) {
    const std::string meant = mistyped_command(rest.front());
    if (meant.empty()) return kCommands.front();
    throw UsageError(
        "[E601] There is no command {}; the nearest is {}. To ask the word itself, write it after "
        "--.",
        {quote(rest.front()), meant});
  }
  words.erase(words.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return *command;
}

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const auto* const row = std::find_if(kCommands.begin(), kCommands.end(),
                                       [&](const Command& one) { return one.name == name; });
  return row == kCommands.end() ? nullptr : row;
}

std::string help_text(const Command& command) {
  const auto [app, action] = set_up(command);
  std::string text = app->help();
  // CLI11 leaves two blank lines between groups.
  for (auto at = std::string::npos; (at = text.find("\n\n\n")) != std::string::npos;) {
    text.erase(at, 1);
  }
  return wrapped(text, 80, kHelpColumn);
}

void parse_words(CLI::App& app, std::span<const char* const> words) {
  refuse_empty_values(words);
  refuse_one_dash(app, words);
  app.allow_extras();
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    std::string name = what.substr(0, what.find_first_of(": "));
    if (!name.starts_with('-')) name.insert(0, "--");
    const bool flag = what.find("flag override") != std::string::npos;
    if (!flag) throw UsageError("[E604] {} needs a value.", {name});
    throw UsageError("[E605] {} takes no value.", {name});
  } catch (const CLI::Success&) {
    throw;  // --help and --version
  } catch (const CLI::ParseError& error) {
    throw UsageError("[E606] {}.", {error.what()});
  }
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty() && rest != std::vector<std::string>{"--"}) refuse(app, rest);
}

Action parse_command_line(int argc, const char* const* argv) {
  std::vector<const char*> words(argv, argv + argc);
  const Command& command = take_command(words);
  auto [app, action] = set_up(command);
  add_configured_words(*app, words);
  try {
    parse_words(*app, words);
  } catch (const CLI::CallForHelp&) {
    return [&command] { return print(help_text(command)), kDone; };
  } catch (const CLI::CallForVersion& version) {
    return [text = std::string(version.what())] { return print(text), kDone; };
  }
  // The action of a command refers to its own options, not to `app`.
  const CLI::Option* question = app->get_option_no_throw("QUESTION");
  if (question == nullptr || question->count() == 0) return action;
  const std::string word = question->results().front();
  const bool marked = std::find(words.begin(), words.end(), std::string_view("--")) != words.end();
  if (!marked && !word.empty() && find_command(word) != nullptr) {
    throw UsageError("[E607] The command {} goes first; to ask the word itself, write it after --.",
                     {word});
  }
  return action;
}

}  // namespace aira
