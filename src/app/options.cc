// Options by CLI11; the words of errors and the usage lines are this program's own. Each way of
// using the program accepts the options that mean something there and no others.
#include "app/options.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

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
void refuse_empty_values(int argc, const char* const* argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view word = argv[i];
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
  if (options.command == Command::kBench && options.prompt_tokens + options.decode_tokens == 0) {
    throw UsageError("With -p 0 and -n 0 there is nothing to measure.");
  }
  if (options.history && options.raw) {
    throw UsageError("--history needs the question markers that --raw leaves out.");
  }
  make_request(options.settings, GenerateOptions{});
  if (!options.question) return;
  if (options.file) throw UsageError("Give a question or a file of questions, not both.");
  if (options.jsonl) throw UsageError("--jsonl reads from stdin or -f FILE; it takes no question.");
  if (options.history) throw UsageError("--history is for the chat; it takes no question.");
  if (options.question->empty() && !options.raw) throw UsageError("The question is empty.");
  const bool command = std::any_of(kCommands.begin(), kCommands.end(), [&](const auto& entry) {
    return entry.first == *options.question;
  });
  if (command && !after_dashes) {
    throw UsageError("The command " + *options.question +
                     " goes first; to ask the word itself, write it after --.");
  }
}

void parse(CLI::App& app, Command command, int argc, const char* const* argv) {
  refuse_empty_values(argc, argv);
  app.allow_extras();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    throw UsageError(what.substr(0, what.find(':')) + " needs a value.");
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
  const std::string_view first = argc > 1 ? argv[1] : "";
  for (const std::string_view later : kLaterCommands) {
    if (first == later) {
      throw UsageError("The command " + std::string(first) + " is not part of this program.");
    }
  }
  for (const auto& [name, command] : kCommands) {
    if (first == name) options.command = command;
  }
  const int skipped = options.command == Command::kAsk ? 0 : 1;
  CLI::App app(usage(options.command), "aira-cli");
  app.formatter(std::make_shared<HelpText>());
  app.get_formatter()->column_width(36);
  app.footer(examples(options.command));
  add_options(app, options);
  try {
    parse(app, options.command, argc - skipped, argv + skipped);
  } catch (const CLI::CallForHelp&) {
    line.text = app.help();
    // CLI11 leaves two blank lines between groups.
    for (auto at = std::string::npos; (at = line.text.find("\n\n\n")) != std::string::npos;) {
      line.text.erase(at, 1);
    }
    return line;
  } catch (const CLI::CallForVersion& version) {
    line.text = std::string(version.what()) + "\n";
    return line;
  }
  const bool after_dashes = std::any_of(
      argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--"; });
  check(options, after_dashes);
  return line;
}

}  // namespace aira
