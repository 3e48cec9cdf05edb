// The command `completion`: prints what a shell reads to complete command lines, and tells that
// shell, which asks at each Tab, what may stand in a word's place. All of it comes from the options
// as the commands set them up.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "aira/error.h"
#include "app/command_line.h"
#include "app/hub.h"
#include "app/output.h"
#include "base/printable.h"

/// completion.S
extern "C" const char aira_completion_bash[], aira_completion_zsh[], aira_completion_fish[];

namespace aira {
namespace {

namespace fs = std::filesystem;

struct Shell {
  std::string_view name;
  const char* script;
};
constexpr const char* kShells = "bash|zsh|fish";
const auto kScripts = std::to_array<Shell>(
    {{"bash", aira_completion_bash}, {"zsh", aira_completion_zsh}, {"fish", aira_completion_fish}});

// What the shell itself is to complete; no word of ours begins so.
constexpr const char* kFiles = ":files\n";
constexpr const char* kFolders = ":folders\n";

/// A line for the shell: a word and what it means.
std::string line(const std::string& word, const std::string& meaning) {
  return word + "\t" + meaning + "\n";
}

std::string command_lines() {
  std::string lines;
  for (const Command& command : commands()) {
    if (*command.name != '\0') lines += line(command.name, message(command.summary));
  }
  return lines;
}

/// The models in the Hugging Face cache.
std::string model_lines() {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> ids;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(hub_cache().value_or(""), problem)) {
    std::string id = entry.path().filename().string();
    if (!id.starts_with(kPrefix) || !fs::exists(entry.path() / "snapshots", problem)) continue;
    id.erase(0, kPrefix.size());
    if (const auto at = id.find("--"); at != std::string::npos) id.replace(at, 2, "/");
    ids.push_back(std::move(id));
  }
  std::sort(ids.begin(), ids.end());
  std::string lines;
  for (const std::string& id : ids) lines += line(id, message("in the Hugging Face cache"));
  return lines;
}

/// What an option's value may be.
std::string value_lines(const CLI::Option& option) {
  std::string kind = option.get_option_text();
  if (kind.empty()) kind = option.get_name(true);  // of a word without an option
  if (kind == "FILE" || kind == "PARTS") return kFiles;
  if (kind == "FOLDER") return kFolders;
  if (kind == "MODEL") return model_lines() + kFolders;
  if (kind == "TOPIC") return command_lines() + line("options", message("Request options"));
  std::string lines;
  const std::string choices = option.get_type_name();
  for (std::size_t begin = 0; choices.find('|') != std::string::npos && begin <= choices.size();) {
    const std::size_t end = std::min(choices.find('|', begin), choices.size());
    lines += line(choices.substr(begin, end - begin), "");
    begin = end + 1;
  }
  return lines;
}

std::string option_lines(const CLI::App& app) {
  std::string lines;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_snames()) {
      lines += line("-" + name, option->get_description());
    }
    for (const std::string& name : option->get_lnames()) {
      lines += line("--" + name, option->get_description());
    }
  }
  return lines;
}

/// Whether the name of a command may come after these words.
bool may_be_command(std::vector<const char*> words) {
  auto copy = words;
  if (*take_command(copy).name != '\0') return false;
  words.push_back("help");
  return take_command(words).name == std::string_view("help");
}

/// The option of `app` whose value `typed`, behind `words`, is; or null.
const CLI::Option* option_before(const CLI::App& app, const std::vector<const char*>& words,
                                 const std::string& typed) {
  const std::size_t equals = typed.find('=');
  const bool joined = typed.starts_with("--") && equals != std::string::npos;
  const std::string name = joined ? typed.substr(0, equals) : words.back();
  if (!name.starts_with('-')) return nullptr;
  const CLI::Option* option = app.get_option_no_throw(name);
  return option != nullptr && option->get_items_expected_max() > 0 ? option : nullptr;
}

/// What may stand in the place of the last of the words behind the program's name.
std::string lines_for(const std::vector<std::string>& typed) {
  std::vector<const char*> words = {"aira-cli"};
  for (std::size_t i = 0; i + 1 < typed.size(); ++i) words.push_back(typed[i].c_str());
  const bool marked = std::find(words.begin(), words.end(), std::string_view("--")) != words.end();
  const bool command_fits = !marked && may_be_command(words);
  const auto [app, action] = set_up(take_command(words));
  const CLI::Option* option = marked ? nullptr : option_before(*app, words, typed.back());
  if (option != nullptr) return value_lines(*option);
  if (!marked && typed.back().starts_with('-')) return option_lines(*app);
  std::string lines = command_fits ? command_lines() : "";
  const auto is_word = [](const CLI::Option* one) { return one->get_positional(); };
  for (const CLI::Option* word : app->get_options(is_word)) lines += value_lines(*word);
  return lines;
}

struct CompletionOptions {
  std::string shell;
  std::vector<std::string> words;
};

int run_completion(const CompletionOptions& options) {
  const auto* const shell = std::find_if(kScripts.begin(), kScripts.end(), [&](const Shell& one) {
    return one.name == options.shell;
  });
  if (shell == kScripts.end()) {
    throw UsageError("[E700] The completions are for bash, zsh or fish, not for {}.",
                     {quote(options.shell)});
  }
  if (options.words.empty()) return print(shell->script), kDone;
  try {
    print(lines_for(options.words));
  } catch (const UsageError&) {
    return kDone;  // nothing completes a command line that is wrong already
  }
  return kDone;
}

}  // namespace

Action set_up_completion(CLI::App& app) {
  const auto options = std::make_shared<CompletionOptions>();
  app.description(
      message("aira-cli completion SHELL         Print completions for bash, zsh or fish\n"
              "aira-cli completion SHELL -- WORDS...\n"
              "                                  What may stand in the place of the last word"));
  app.footer(message("Examples:") + R"text(
  eval "$(aira-cli completion bash)"
  aira-cli completion zsh > _aira-cli
  aira-cli completion fish > aira-cli.fish)text");
  app.add_option("SHELL", options->shell)->type_name(kShells);
  app.add_option("WORDS",
                 [options](const std::vector<std::string>& words) {
                   options->words = words;
                   return true;
                 })
      ->take_all()
      ->expected(-1);
  return [options] { return run_completion(*options); };
}

}  // namespace aira
