// The chat: questions, commands and answers on a terminal.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/answering.h"
#include "app/line_editor.h"

namespace aira {

class Chat {
 public:
  explicit Chat(const AskOptions& options);

  /// Until /exit or the end of the input.
  void run();

 private:
  /// Gets what stands after the name, without blanks around it.
  using Run = void (Chat::*)(const std::string& argument);
  struct Command {
    std::array<std::string_view, 3> names;  // or empty
    const char* argument;                   // for /help; empty: it takes none
    const char* help;
    Run run;
    std::string all_names() const;
  };
  static std::span<const Command> commands();

  void command(std::string_view line);
  std::vector<std::string> complete(std::string_view line) const;

  void again(const std::string& argument);
  void edit(const std::string& text);
  void exit(const std::string& argument);
  void help(const std::string& argument);
  void history(const std::string& state);
  void load(const std::string& typed);
  void params(const std::string& setting);
  void reset(const std::string& argument);
  void save(const std::string& typed);
  void seed(const std::string& number);

  void say(std::string_view text) { editor_.print(text); }
  void set(const RequestOption& option, const std::string& value);
  void check(const RequestChanges& request);
  void keep_history(bool on);
  void show(const RequestOption& option);
  void ask(const std::string& question, bool again = false);
  GenerateRequest request(const std::string& question, const GenerateOptions& options,
                          std::size_t turns);
  std::string answer_text(const Answer& answer);
  GenerateOptions in_use() { return request_.over(answering_.defaults()); }
  bool fixed_seed() { return in_use().seed != options_.drawn_seed; }

  const AskOptions& options_;
  Answering answering_;
  LineEditor editor_;
  RequestChanges request_;  // the command line's, changed by /params
  bool history_;            // earlier turns stay in the prompt
  std::vector<Prompts::Turn> turns_;
  std::size_t left_out_ = 0;   // of the turns: there is no room for them in the prompt
  std::string last_question_;  // for /again; empty: none
  bool answered_ = false;      // the last question: it is the last of the turns
  std::optional<std::uint64_t> last_seed_;
  std::string own_file_;  // the one that /save and /load have used
  bool leaving_ = false;
};

}  // namespace aira
