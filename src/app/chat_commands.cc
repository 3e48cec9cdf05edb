// The commands of the chat: /help, completion and what is done all come from one table.
#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/chat.h"
#include "app/dialogue_file.h"
#include "app/output.h"
#include "app/text_editor.h"
#include "base/printable.h"
#include "base/user_path.h"
#include "run/answer_text.h"

namespace aira {
namespace {

constexpr std::string_view kBlanks = " \t";

/// What stands before the first blank, and what after it.
std::pair<std::string, std::string> split(std::string_view typed) {
  const std::string text = without_white_space(typed);
  const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
  return {text.substr(0, end), without_white_space(text.substr(end))};
}

/// "top_k" for "top-k" and "--top-k".
std::string field_name(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string field(name);
  std::replace(field.begin(), field.end(), '-', '_');
  return field;
}

}  // namespace

std::span<const Chat::Command> Chat::commands() {
  static constexpr auto kTable = std::to_array<Command>({
      {{"/help", "/ajuda"}, "", to_translate("this list"), &Chat::help},
      {{"/again"},
       "",
       to_translate("ask the last question again, with another seed"),
       &Chat::again},
      {{"/edit"},
       to_translate("[TEXT]"),
       to_translate("write a question in $VISUAL or $EDITOR"),
       &Chat::edit},
      {{"/history"},
       "[on|off]",
       to_translate("whether earlier turns stay in the prompt"),
       &Chat::history},
      {{"/reset"}, "", to_translate("forget the dialogue; the settings stay"), &Chat::reset},
      {{"/params"},
       to_translate("[NAME [VALUE]]"),
       to_translate("show or set request options; /params reset undoes it"),
       &Chat::params},
      {{"/seed"}, "[N]", to_translate("show the seed, or set one for every question"), &Chat::seed},
      {{"/save"},
       to_translate("FILE"),
       to_translate("write the dialogue and the settings to a JSON file"),
       &Chat::save},
      {{"/load"},
       to_translate("FILE"),
       to_translate("go on with a dialogue that was saved"),
       &Chat::load},
      {{"/exit", "/quit", "/sair"}, "", to_translate("leave (so does Ctrl-D)"), &Chat::exit},
  });
  return kTable;
}

/// "/exit, /quit, /sair"
std::string Chat::Command::all_names() const {
  std::string all(names.front());
  for (const std::string_view name : std::span(names).subspan(1)) {
    if (!name.empty()) all.append(", ").append(name);
  }
  return all;
}

void Chat::command(std::string_view line) {
  const auto [name, argument] = split(line);
  for (const Command& row : commands()) {
    if (std::find(row.names.begin(), row.names.end(), name) == row.names.end()) continue;
    if (*row.argument == '\0' && !argument.empty()) {
      throw Error("[E203] {} takes nothing after it, but {} stands there.",
                  {name, quote(argument)});
    }
    return (this->*row.run)(argument);
  }
  throw Error(
      "[E204] There is no command {}; /help lists them. A question may begin with / after "
      "a space.",
      {quote(name)});
}

/// What the last word of the line may become.
std::vector<std::string> Chat::complete(std::string_view line) const {
  const std::size_t begin = line.find_last_of(kBlanks) + 1;
  const std::string command(line.substr(0, begin));
  std::string word(line.substr(begin));
  std::vector<std::string> words;
  const auto offer = [&](std::string_view candidate) {
    if (candidate.starts_with(word)) words.emplace_back(candidate);
  };
  if (begin == 0) {
    for (const Command& row : commands()) {
      for (const std::string_view name : row.names) {
        if (!name.empty()) offer(name);
      }
    }
  } else if (without_white_space(command) == "/params") {
    word = field_name(word);
    for (const RequestOption& row : request_options()) offer(row.name);
    offer("reset");
  } else if (without_white_space(command) == "/history") {
    offer("on");
    offer("off");
  }
  return words;
}

void Chat::help(const std::string& /*argument*/) {
  for (const Command& row : commands()) {
    const std::string usage = row.all_names() + " " + message(row.argument);
    say(format("%-26s", usage.c_str()) + message(row.help) + "\n");
  }
  say(
      message("Alt-Enter, or \\ at the end of a line, begins a new line of the question. Tab\n"
              "completes commands. Ctrl-C stops the running answer. Put a space before a\n"
              "question that begins with /.\n"));
}

void Chat::exit(const std::string& /*argument*/) { leaving_ = true; }

void Chat::again(const std::string& /*argument*/) {
  if (last_question_.empty()) throw Error("[E205] There is no question yet to ask again.");
  ask(std::string(last_question_), true);
}

void Chat::edit(const std::string& text) {
  std::string question;
  editor_.suspend([&] { question = written_in_editor(text); });
  if (question.empty()) {
    say(message("The text is empty, so nothing is asked.\n"));
    return;
  }
  editor_.add(question);
  ask(question);
}

void Chat::keep_history(bool on) {
  if (on && options_.raw) {
    throw Error("[E206] This chat completes texts (--raw); only questions have a history.");
  }
  history_ = on;
  if (on && !options_.form && !options_.quiet && answering_.engine().prompts().has_markers()) {
    note(
        message("this model was trained on single questions; with the history it may answer "
                "worse."));
  }
}

void Chat::history(const std::string& state) {
  if (!state.empty() && state != "on" && state != "off") {
    throw Error("[E207] /history is on or off, not {}.", {quote(state)});
  }
  if (!state.empty()) keep_history(state == "on");
  say(history_ ? message("history on: earlier turns stay in the prompt\n")
               : message("history off: every question stands alone\n"));
}

void Chat::reset(const std::string& /*argument*/) {
  turns_.clear();
  left_out_ = 0;
  answered_ = false;
  say(message("The dialogue is forgotten. The settings stay; /params reset undoes them.\n"));
}

void Chat::params(const std::string& setting) {
  const auto [name, value] = split(setting);
  if (name.empty()) {
    for (const RequestOption& row : request_options()) {
      if (!row.value(in_use()).is_null()) show(row);
    }
  } else if (name == "reset" && value.empty()) {
    request_ = options_.request;
    say(message("The settings are those of the start again.\n"));
  } else {
    const RequestOption& row = request_option(field_name(name));
    if (!value.empty()) set(row, value);
    show(row);
  }
}

void Chat::set(const RequestOption& option, const std::string& value) {
  RequestChanges changed = request_;
  changed.begin(Source::kParams);
  changed.set_words(option, std::array{value});
  check(changed);
  request_ = std::move(changed);
}

void Chat::show(const RequestOption& option) {
  const nlohmann::json value = option.value(in_use());
  say(std::string(option.name) + " " +
      (value.is_null() ? message("off")
                       : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) +
      "\n");
}

void Chat::seed(const std::string& number) {
  if (!number.empty()) set(request_option("seed"), number);
  const std::string seed = std::to_string(in_use().seed);
  if (fixed_seed()) {
    say(message("seed {} for every question\n", {seed}));
  } else if (last_seed_) {
    say(message("seed {} for the last question, one more for each\n",
                {std::to_string(*last_seed_)}));
  } else {
    say(message("seed {} for the first question, one more for each\n", {seed}));
  }
}

void Chat::save(const std::string& typed) {
  if (typed.empty()) throw Error("[E215] /save needs the name of a file.");
  const std::string path = expand_path(typed);
  std::error_code problem;
  if (path != own_file_ && std::filesystem::exists(path, problem)) {
    throw Error("[E216] {} is there already, and not from this chat; choose another name.",
                {quote(path, 4096)});
  }
  save_dialogue({answering_.model().name, history_, request_, turns_}, path, fixed_seed());
  own_file_ = path;
  say(message("saved in {}: turns {}\n", {quote(path, 4096), std::to_string(turns_.size())}));
}

void Chat::load(const std::string& typed) {
  if (typed.empty()) throw Error("[E217] /load needs the name of a file.");
  const std::string path = expand_path(typed);
  RequestChanges start;  // the drawn seed counts when the file has none
  start.set_words(request_option("seed"), std::array{std::to_string(options_.drawn_seed)});
  Dialogue dialogue = load_dialogue(path, std::move(start));
  check(dialogue.params);
  keep_history(dialogue.history);
  request_ = std::move(dialogue.params);
  turns_ = std::move(dialogue.turns);
  own_file_ = path;
  left_out_ = 0;
  answered_ = !turns_.empty();
  last_question_ = answered_ ? turns_.back().first : "";
  say(message("loaded {}: turns {}\n", {quote(path, 4096), std::to_string(turns_.size())}));
  history("");
}

}  // namespace aira
