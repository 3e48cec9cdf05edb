// The table of commands and how a command line becomes one of them. A subcommand is a row of the
// table and a file with its options, its help and what it does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "aira/device.h"
#include "aira/error.h"
#include "app/run_options.h"
#include "run/option_values.h"
#include "run/request_options.h"

namespace CLI {
class App;
class FormatterBase;
class Option;
}  // namespace CLI

namespace aira {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // the reason is on stderr
inline constexpr int kUsage = 2;
inline constexpr int kInterrupted = 130;

/// What a parsed command line does; returns the exit code. What ends the program is thrown.
using Action = std::function<int()>;

struct Command {
  const char* name;     // empty: no command, which asks
  const char* summary;  // to_translate()
  /// Adds options, description and examples; the action is valid once `app` has parsed.
  Action (*set_up)(CLI::App& app);
};

Action set_up_ask(CLI::App& app);
Action set_up_chat(CLI::App& app);
Action set_up_tokenize(CLI::App& app);
Action set_up_score(CLI::App& app);
Action set_up_info(CLI::App& app);
Action set_up_pull(CLI::App& app);
Action set_up_bench(CLI::App& app);
Action set_up_serve(CLI::App& app);
Action set_up_list(CLI::App& app);
Action set_up_doctor(CLI::App& app);
Action set_up_rm(CLI::App& app);
Action set_up_merge(CLI::App& app);
Action set_up_completion(CLI::App& app);
Action set_up_help(CLI::App& app);
Action set_up_version(CLI::App& app);

std::span<const Command> commands();
/// Null when there is no command of that name.
const Command* find_command(std::string_view name);
/// Takes the name of a command out of `words`, where model options may stand before it, and gives
/// the command; without one, that of asking. Throws UsageError.
const Command& take_command(std::vector<const char*>& words);
/// The options of `command`, and what it does once they are parsed.
std::pair<std::unique_ptr<CLI::App>, Action> set_up(const Command& command);
/// How the help of an App looks.
std::shared_ptr<CLI::FormatterBase> help_format();
inline constexpr std::size_t kHelpColumn = 34;  // where descriptions of options begin
/// What --help prints.
std::string help_text(const Command& command);
/// What `help options` prints, kept as tools/docs/options.md.
std::string options_page();

/// Throws UsageError. Checked here: everything that can be checked without the model.
Action parse_command_line(int argc, const char* const* argv);
/// Parses words with the options of `app`, errors in this program's words.
void parse_words(CLI::App& app, std::span<const char* const> words);

// What the commands' options have in common.

struct CommonOptions {
  std::optional<std::string> model;    // folder or hub id
  std::optional<std::string> adapter;  // folder
  Device device = Device::kAuto;
  DType dtype = DType::kF16;
  int threads = 0;                  // 0 = one per usable core
  std::optional<std::string> file;  // of lines; nothing and "-" are stdin
  char line_end = '\n';             // of the lines in it, or '\0'
  std::int64_t batch = 32;          // maximum number of concurrent sequences
  bool json = false;                // --json or --jsonl
  bool quiet = false;
  RunOptions run;
};

/// -m and --adapter; for a command that computes also --device, --dtype and -t. To be called first.
void add_model_options(CLI::App& app, CommonOptions& options, bool computes);
/// MODEL as a word, in the place of -m, which is there already.
void add_model_argument(CLI::App& app, CommonOptions& options);
/// -q. To be called last.
void add_quiet(CLI::App& app, CommonOptions& options);
/// -f
void add_file(CLI::App& app, CommonOptions& options, const std::string& help);
/// --batch
void add_batch(CLI::App& app, CommonOptions& options);
void add_request_options(CLI::App& app, RequestChanges& request);
CLI::Option* add_text(CLI::App& app, const char* names, std::optional<std::string>& target,
                      const char* placeholder, const std::string& help);

/// An option whose value `read` takes; one that it refuses "must be WORDS", translated like `help`.
/// `names` include a long one. Words that can be completed are the option's type_name(), as
/// "a|b|c".
CLI::Option* add_value(CLI::App& app, const std::string& names, const char* placeholder,
                       const std::string& help, const std::string& words,
                       const std::function<bool(const std::string&)>& read);

/// A whole number from `from` to `to`.
template <typename Number>
void add_count(CLI::App& app, const char* names, Number& target, std::int64_t from, std::int64_t to,
               const std::string& help) {
  add_value(app, names, "N", help,
            message("a whole number from {} to {}", {std::to_string(from), std::to_string(to)}),
            [&target, from, to](const std::string& text) {
              std::int64_t number = 0;
              if (!read_word(text, number) || number < from || number > to) return false;
              target = static_cast<Number>(number);
              return true;
            });
}

}  // namespace aira
