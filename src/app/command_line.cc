#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "app/config_file.h"
#include "app/output.h"
#include "app/wrap_help.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr auto kCommands = std::to_array<Command>({
    {"", "Answer questions", set_up_ask},
    {"chat", "Ask questions on a terminal", set_up_chat},
    {"tokenize", "Convert text to token ids, or back", set_up_tokenize},
    {"score", "Compute the log-likelihood of given texts", set_up_score},
    {"info", "Describe the model and where it was found", set_up_info},
    {"bench", "Measure speed", set_up_bench},
    {"help", "Print the help of a command, or a table of the request options", set_up_help},
    {"version", "Print the version", set_up_version},
});

constexpr std::size_t kHelpColumn = 34;  // where descriptions of options begin

class HelpText : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "";
  }
  std::string make_positionals(const CLI::App* /*app*/) const override { return ""; }
  std::string make_option_name(const CLI::Option* option, bool /*positional*/) const override {
    const std::string name = option->get_name(false, true);  // "-m,--model" or "--raw"
    const auto comma = name.find(',');
    const std::string indent = name.starts_with("--") ? "    " : "";
    if (comma == std::string::npos) return indent + name;
    return indent + name.substr(0, comma) + ", " + name.substr(comma + 1);
  }
};

std::unique_ptr<CLI::App> new_app() {
  auto app = std::make_unique<CLI::App>("", "aira-cli");
  app->set_help_flag();
  app->option_defaults()->take_last()->disable_flag_override();
  return app;
}

/// The options of `command`, and what it does once they are parsed.
std::pair<std::unique_ptr<CLI::App>, Action> set_up(const Command& command) {
  auto app = new_app();
  app->formatter(std::make_shared<HelpText>());
  app->get_formatter()->column_width(kHelpColumn);
  Action action = command.set_up(*app);
  app->set_help_flag("-h,--help", "Print this help")->group("Output");
  return {std::move(app), std::move(action)};
}

/// Takes the name of a command out of `words`, where model options may stand before it.
const Command& take_command(std::vector<const char*>& words) {
  CommonOptions unused;
  const auto app = new_app();
  add_model_options(*app, unused, true);
  add_quiet(*app, unused);
  try {
    app->prefix_command()->parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError&) {
    return kCommands.front();  // which will say what is wrong
  }
  const std::vector<std::string> rest = app->remaining();
  if (rest.empty()) return kCommands.front();
  if (rest.front() == "pull" || rest.front() == "serve") {
    throw UsageError("The command " + rest.front() + " is not part of this program.");
  }
  const Command* command = find_command(rest.front());
  if (command == nullptr || rest.front().empty()) return kCommands.front();
  words.erase(words.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return *command;
}

/// What CLI11 could not place: unknown options and surplus words.
[[noreturn]] void refuse(const CLI::App& app, const std::vector<std::string>& rest) {
  const bool asks = app.get_option_no_throw("QUESTION") != nullptr;
  for (const std::string& word : rest) {
    if (word == "--") break;  // what follows are words
    if (word.size() > 1 && word.front() == '-') {
      throw UsageError("There is no option " + quote(word) +
                       (asks ? "; a question that begins with - goes after --." : " here."));
    }
  }
  if (asks) throw UsageError("Several questions were given; put one question between quotes.");
  throw UsageError("The word " + quote(rest.front() == "--" ? rest.back() : rest.front()) +
                   " means nothing here.");
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

/// Sets `target` to the value of one of `names`.
template <typename Value>
std::function<bool(const std::string&)> choice(
    Value& target, const std::map<std::string, Value, std::less<>>& names) {
  return [&target, names](const std::string& text) {
    const auto found = names.find(text);
    if (found != names.end()) target = found->second;
    return found != names.end();
  };
}

}  // namespace

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
  app.allow_extras();
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    std::string name = what.substr(0, what.find_first_of(": "));
    if (!name.starts_with('-')) name.insert(0, "--");
    const bool flag = what.find("flag override") != std::string::npos;
    throw UsageError(name + (flag ? " takes no value." : " needs a value."));
  } catch (const CLI::Success&) {
    throw;  // --help and --version
  } catch (const CLI::ParseError& error) {
    throw UsageError(std::string(error.what()) + ".");
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
    return [text = std::string(version.what())] { return print(text + "\n"), kDone; };
  }
  // The action of a command refers to its own options, not to `app`.
  const CLI::Option* question = app->get_option_no_throw("QUESTION");
  if (question == nullptr || question->count() == 0) return action;
  const std::string word = question->results().front();
  const bool marked = std::find(words.begin(), words.end(), std::string_view("--")) != words.end();
  if (!marked && !word.empty() && find_command(word) != nullptr) {
    throw UsageError("The command " + word +
                     " goes first; to ask the word itself, write it after --.");
  }
  return action;
}

void add_model_options(CLI::App& app, CommonOptions& options, bool computes) {
  app.option_defaults()->group("Model");
  add_text(app, "-m,--model", options.model, "MODEL", "Folder, or hub id in the local cache");
  add_text(app, "--adapter", options.adapter, "FOLDER", "LoRA adapter (PEFT) to merge into it");
  if (!computes) return;
  add_value(
      app, "--device", "DEVICE", "auto (a GPU if there is one), cpu or cuda", "auto, cpu or cuda",
      choice<Device>(options.device,
                     {{"auto", Device::kAuto}, {"cpu", Device::kCpu}, {"cuda", Device::kCuda}}));
  add_value(app, "--dtype", "TYPE", "Weights in memory: auto (f16), f32, f16 or int8",
            "auto, f32, f16 or int8",
            choice<DType>(options.dtype, {{"auto", DType::kF16},
                                          {"f32", DType::kF32},
                                          {"f16", DType::kF16},
                                          {"int8", DType::kI8}}));
  add_count(app, "-t,--threads", options.threads, 1, 1024, "CPU threads (all physical cores)");
  app.parse_complete_callback([&options] {
    if (options.device == Device::kCuda && options.dtype == DType::kI8) {
      throw UsageError("--dtype int8 runs on the CPU; use --device cpu, or --dtype f16.");
    }
  });
}

void add_quiet(CLI::App& app, CommonOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, "Only errors on stderr")->group("Output");
}

void add_file(CLI::App& app, CommonOptions& options, const char* help) {
  app.option_defaults()->group("Input");
  add_text(app, "-f,--file", options.file, "FILE", help)->each([](const std::string& name) {
    if (name.empty()) throw UsageError("--file needs the name of a file.");
  });
}

void add_batch(CLI::App& app, CommonOptions& options) {
  add_count(app, "--batch", options.batch, 1, 4096, "Maximum number of concurrent sequences (32)");
}

void add_request_options(CLI::App& app, RequestChanges& request) {
  for (const RequestOption& row : request_options()) {
    app.option_defaults()->group(message(row.group));
    const std::string names = row.flags(",");
    std::string help = message(row.help);
    if (const std::string value = row.default_text(); !value.empty()) help += " (" + value + ")";
    const auto set = [&row, &request](const std::vector<std::string>& words) {
      request.set_words(row, words);
      return true;
    };
    if (*row.placeholder == '\0') {
      app.add_flag_callback(
          names, [set] { set({"true"}); }, help);
    } else {
      app.add_option(names, set, help)->take_all()->option_text(row.placeholder);
    }
  }
}

CLI::Option* add_text(CLI::App& app, const char* names, std::optional<std::string>& target,
                      const char* placeholder, const char* help) {
  return app
      .add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->option_text(placeholder);
}

void add_value(CLI::App& app, const std::string& names, const char* placeholder, const char* help,
               const std::string& words, const std::function<bool(const std::string&)>& read) {
  const auto take = [flag = names.substr(names.find("--")), words, read](const std::string& text) {
    if (!read(text)) throw UsageError(flag + " must be " + words + ", not " + quote(text) + ".");
  };
  app.add_option_function<std::string>(names, take, help)->option_text(placeholder);
}

std::string options_page() {
  std::string page = R"(# Request options

This page is what `aira-cli help options` prints. Each option can be given on the command line, as a
field of a JSON line and to the chat's `/params`. What a JSON line says goes before the command line,
that before the config file ([batches.md](batches.md#defaults-in-a-file)) and the model's
`generation_config.json`, and these before the defaults below or those of transformers
([generation.md](generation.md)).

| option | JSON field | must be | default | meaning |
|---|---|---|---|---|
)";
  for (const RequestOption& row : request_options()) {
    std::string flag = row.flags(", ");
    if (*row.placeholder != '\0') flag += " " + std::string(row.placeholder);
    page += "| `" + flag + "` | `" + row.name + "` | " + message(row.range.words) + " | " +
            row.default_text() + " | " + message(row.help) + " |\n";
  }
  return page;
}

Action set_up_help(CLI::App& app) {
  const auto topic = std::make_shared<std::string>();
  app.description(
      "aira-cli help [COMMAND]           Print the help of a command\n"
      "aira-cli help options             Print a table of the request options in Markdown");
  app.add_option("TOPIC", *topic);
  return [topic] {
    if (*topic == "options") return print(options_page()), kDone;
    const Command* command = find_command(*topic);
    if (command == nullptr) throw UsageError("There is no command " + quote(*topic) + ".");
    print(help_text(*command));
    return kDone;
  };
}

Action set_up_version(CLI::App& app) {
  app.description("aira-cli version                  Print the version");
  return [] { return print("aira-cli " AIRA_VERSION "\n"), kDone; };
}

}  // namespace aira
