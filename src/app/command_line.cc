#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "aira/error.h"
#include "app/output.h"
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
  app->get_formatter()->column_width(34);
  Action action = command.set_up(*app);
  app->set_help_flag("-h,--help", "Print this help")->group("Output");
  return {std::move(app), std::move(action)};
}

/// The index of the first word that is neither a model option nor the value of one.
std::size_t first_other_word(std::span<const char* const> words) {
  CommonOptions unused;
  const auto app = new_app();
  add_model_options(*app, unused, true);
  add_quiet(*app, unused);
  std::size_t i = 1;
  for (; i < words.size(); ++i) {
    const std::string word = words[i];
    const std::size_t equals = word.find('=');
    const CLI::Option* option =
        word.starts_with('-') ? app->get_option_no_throw(word.substr(0, equals)) : nullptr;
    if (option == nullptr) break;
    if (equals == std::string::npos && option->get_items_expected_max() > 0) ++i;
  }
  return std::min(i, words.size());
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

/// One of some names, replaced by the number of its enumerator, which CLI11 converts.
template <typename Enum>
CLI::Validator choice(std::vector<std::pair<std::string_view, Enum>> names, const char* list) {
  return CLI::Validator(
      [names = std::move(names), list](std::string& text) -> std::string {
        for (const auto& [name, value] : names) {
          if (text != name) continue;
          text = std::to_string(static_cast<int>(value));
          return {};
        }
        return std::string("must be ") + list + ", not " + quote(text);
      },
      "");
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
  return text;
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
  } catch (const CLI::ValidationError& error) {  // "--batch: must be ..."
    std::string sentence = error.what();
    sentence.erase(sentence.find(": "), 1);
    throw UsageError(sentence + ".");
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
  const Command* command = &kCommands.front();
  const std::size_t at = first_other_word(words);
  if (at < words.size() && *words[at] != '\0') {
    if (std::find(kLaterCommands.begin(), kLaterCommands.end(), words[at]) !=
        kLaterCommands.end()) {
      throw UsageError("The command " + std::string(words[at]) + " is not part of this program.");
    }
    if (const Command* named = find_command(words[at])) {
      command = named;
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  auto [app, action] = set_up(*command);
  try {
    parse_words(*app, words);
  } catch (const CLI::CallForHelp&) {
    return [command] { return print(help_text(*command)), kDone; };
  } catch (const CLI::CallForVersion&) {
    return parse_command_line(2, std::array{argv[0], "version"}.data());
  }
  // The action of a command refers to its own options, not to `app`.
  const CLI::Option* question = app->get_option_no_throw("QUESTION");
  if (question != nullptr && question->count() > 0 && !question->results().front().empty() &&
      find_command(question->results().front()) != nullptr &&
      std::none_of(words.begin(), words.end(),
                   [](std::string_view word) { return word == "--"; })) {
    throw UsageError("The command " + question->results().front() +
                     " goes first; to ask the word itself, write it after --.");
  }
  return action;
}

void add_model_options(CLI::App& app, CommonOptions& options, bool computes) {
  app.option_defaults()->group("Model");
  add_text(app, "-m,--model", options.model, "MODEL", "Folder, or hub id in the local cache");
  if (!computes) return;
  app.add_option("--device", options.device, "auto (a GPU if there is one), cpu or cuda")
      ->option_text("DEVICE")
      ->transform(
          choice<Device>({{"auto", Device::kAuto}, {"cpu", Device::kCpu}, {"cuda", Device::kCuda}},
                         "auto, cpu or cuda"));
  app.add_option("--dtype", options.dtype, "Weights in memory: auto (f16), f32, f16 or int8")
      ->option_text("TYPE")
      ->transform(choice<DType>(
          {{"auto", DType::kF16}, {"f32", DType::kF32}, {"f16", DType::kF16}, {"int8", DType::kI8}},
          "auto, f32, f16 or int8"));
  app.add_option("-t,--threads", options.threads, "CPU threads (all physical cores)")
      ->option_text("N")
      ->check(whole_number(1, 1024));
  app.parse_complete_callback([&options] {
    if (options.device == Device::kCuda && options.dtype == DType::kI8) {
      throw UsageError("--dtype int8 runs on the CPU; use --device cpu, or --dtype f16.");
    }
  });
}

void add_quiet(CLI::App& app, CommonOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, "Only errors on stderr")->group("Output");
}

void add_file(CLI::App& app, std::optional<std::string>& file, const char* help) {
  app.option_defaults()->group("Input");
  add_text(app, "-f,--file", file, "FILE", help)
      ->check(CLI::Validator(
          [](std::string& name) { return name.empty() ? "needs the name of a file" : ""; }, ""));
}

void add_batch(CLI::App& app, std::int64_t& batch) {
  app.add_option("--batch", batch, "Maximum number of concurrent sequences (32)")
      ->option_text("N")
      ->check(whole_number(1, 4096));
}

void add_request_options(CLI::App& app, RequestChanges& request) {
  for (const RequestOption& row : request_options()) {
    app.option_defaults()->group(row.group);
    std::string names = row.flag();
    if (*row.short_flag != '\0') names = std::string(row.short_flag) + "," + names;
    std::string help = row.help;
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

CLI::Validator whole_number(std::int64_t from, std::int64_t to) {
  return CLI::Validator(
      [from, to](std::string& text) -> std::string {
        std::int64_t number = 0;
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (problem == std::errc() && end == text.data() + text.size() && number >= from &&
            number <= to) {
          text = std::to_string(number);  // CLI11 would take 010 for 8
          return {};
        }
        return "must be a whole number from " + std::to_string(from) + " to " + std::to_string(to) +
               ", not " + quote(text);
      },
      "");
}

}  // namespace aira
