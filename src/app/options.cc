// Options by CLI11; the words of errors and the usage lines are this program's own. Each way of
// using the program accepts the options that mean something there and no others.
#include "app/options.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "app/option_table.h"
#include "app/usage.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::array<std::pair<std::string_view, Command>, 4> kCommands = {{
    {"tokenize", Command::kTokenize},
    {"score", Command::kScore},
    {"info", Command::kInfo},
    {"bench", Command::kBench},
}};
constexpr std::array<std::string_view, 2> kLaterCommands = {"pull", "serve"};

class HelpText : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "";
  }
  std::string make_positionals(const CLI::App* /*app*/) const override { return ""; }
  std::string make_option_name(const CLI::Option* option, bool /*positional*/) const override {
    const std::string name = option->get_name(false, true);  // "-m,--model" or "--raw"
    const auto comma = name.find(',');
    if (comma == std::string::npos) return "    " + name;
    return name.substr(0, comma) + ", " + name.substr(comma + 1);
  }
};

bool is_dashes(std::string_view word) { return word == "--"; }

/// The command of that name; kAsk when there is none.
Command command_called(std::string_view word) {
  for (const auto& [name, command] : kCommands) {
    if (word == name) return command;
  }
  return Command::kAsk;
}

/// Where the command stands: the first word, but for options that every command has. The end when
/// this is not about a command.
std::vector<const char*>::iterator find_command(std::vector<const char*>& words) {
  constexpr std::array<std::string_view, 2> kFlags = {"-q", "--quiet"};
  constexpr std::array<std::string_view, 6> kWithValue = {"-m",      "--model", "--device",
                                                          "--dtype", "-t",      "--threads"};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (command_called(word) != Command::kAsk) return words.begin() + static_cast<long>(i);
    if (std::find(kLaterCommands.begin(), kLaterCommands.end(), word) != kLaterCommands.end()) {
      throw UsageError("The command " + std::string(word) + " is not part of this program.");
    }
    const auto named = [&](std::string_view name) {
      return word == name || (name.size() > 2 && word.starts_with(std::string(name) + "="));
    };
    const auto* const valued = std::find_if(kWithValue.begin(), kWithValue.end(), named);
    if (valued != kWithValue.end()) {
      if (word == *valued) ++i;
    } else if (std::find(kFlags.begin(), kFlags.end(), word) == kFlags.end()) {
      break;
    }
  }
  return words.end();
}

std::string help_text(const CLI::App& app) {
  std::string text = app.help();
  // CLI11 leaves two blank lines between groups.
  for (auto at = std::string::npos; (at = text.find("\n\n\n")) != std::string::npos;) {
    text.erase(at, 1);
  }
  return text;
}

/// What CLI11 could not place: unknown options and words too many.
[[noreturn]] void refuse(const std::vector<std::string>& rest, Command command) {
  for (const std::string& word : rest) {
    if (word == "--") break;  // what follows are words
    if (word.size() > 1 && word.front() == '-') {
      throw UsageError(
          "There is no option " + quote(word) +
          (command == Command::kAsk ? "; a question that begins with - goes after --." : " here."));
    }
  }
  if (command == Command::kAsk) {
    throw UsageError("Several questions were given; put one question between quotes.");
  }
  throw UsageError("The word " + quote(rest.front() == "--" ? rest.back() : rest.front()) +
                   " means nothing here; input comes from stdin or a file.");
}

/// CLI11 takes "--option=" for "--option NEXT_WORD".
void refuse_empty_values(std::span<const char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") return;
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      throw UsageError(printable(word.substr(0, word.size() - 1)) + " needs a value.");
    }
  }
}

/// Options that are fine alone and mean nothing together.
void check(const Options& options, bool after_dashes) {
  if (options.plain && options.decode) {
    throw UsageError("--plain is about text and --decode about ids; use one of them.");
  }
  if (options.file && options.file->empty()) throw UsageError("-f needs the name of a file.");
  if (options.command == Command::kBench && options.prompt_tokens == 0 &&
      options.decode_tokens == 0) {
    throw UsageError("With -p 0 and -n 0 there is nothing to measure.");
  }
  if (options.history && options.raw) {
    throw UsageError("--history needs the question markers that --raw leaves out.");
  }
  const GenerateOptions generate = with_settings(options.settings, {});
  if (options.numbered && options.jsonl) {
    throw UsageError("--numbered is for lines of text; --jsonl lists the answers of a question.");
  }
  if (generate.logprobs >= 0 && !options.jsonl) {
    throw UsageError("--logprobs needs --jsonl, where they are printed.");
  }
  if (!options.question) return;
  if (options.file) throw UsageError("Give a question or a file of questions, not both.");
  if (options.jsonl) throw UsageError("--jsonl reads from stdin or -f FILE; it takes no question.");
  if (options.history) throw UsageError("--history is for the chat; it takes no question.");
  if (options.question->empty() && !options.raw) throw UsageError("The question is empty.");
  if (command_called(*options.question) != Command::kAsk && !after_dashes) {
    throw UsageError("The command " + *options.question +
                     " goes first; to ask the word itself, write it after --.");
  }
}

void parse(CLI::App& app, Command command, std::span<const char* const> words) {
  refuse_empty_values(words);
  app.allow_extras();
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    std::string option = what.substr(0, what.find_first_of(": "));
    if (!option.starts_with('-')) option.insert(0, "--");
    const bool flag = what.find("flag override") != std::string::npos;
    throw UsageError(option + (flag ? " takes no value." : " needs a value."));
  } catch (const CLI::Success&) {
    throw;  // --help and --version
  } catch (const CLI::ParseError& error) {
    throw UsageError(std::string(error.what()) + ".");
  }
  std::vector<std::string> rest = app.remaining();
  if (!rest.empty() && rest != std::vector<std::string>{"--"}) refuse(rest, command);
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  Options& options = line.options;
  std::vector<const char*> words(argv, argv + argc);
  if (const auto at = find_command(words); at != words.end()) {
    options.command = command_called(*at);
    words.erase(at);
  }
  CLI::App app(usage(options.command), "aira-cli");
  app.formatter(std::make_shared<HelpText>());
  app.get_formatter()->column_width(36);
  app.footer(examples(options.command));
  add_options(app, options);
  try {
    parse(app, options.command, words);
  } catch (const CLI::CallForHelp&) {
    line.text = help_text(app);
    return line;
  } catch (const CLI::CallForVersion& version) {
    line.text = std::string(version.what()) + "\n";
    return line;
  }
  check(options, std::any_of(words.begin() + 1, words.end(), is_dashes));
  return line;
}

}  // namespace aira
