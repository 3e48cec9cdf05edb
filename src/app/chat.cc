// Questions and answers on a terminal. Ctrl-C stops the running answer, Ctrl-D leaves. libedit
// draws on stderr, so that stdout carries answers only (`| tee answers`).
#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/ask.h"
#include "app/interrupt.h"
#include "app/lines.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr int kHistoryLines = 1000;
constexpr std::string_view kBlanks = " \t";
constexpr char kInvisible = '\1';  // brackets what takes no room in the prompt

char* prompt(EditLine* /*editor*/) {
  static char plain[] = "> ";
  static char bold[] = "\1\033[1m\1> \1\033[0m\1";
  static const bool colours =
      !environment("NO_COLOR") && environment("TERM").value_or("dumb") != "dumb";
  return colours ? bold : plain;
}

EditLine* shown = nullptr;  // the one editor, for redraw

/// libedit believes that the terminal is as it left it.
void redraw() {
  ::el_resize(shown);
  ::el_set(shown, EL_PREP_TERM, 0);
  ::el_set(shown, EL_PREP_TERM, 1);
  print_aside("\r");
  ::el_set(shown, EL_REFRESH);
}

/// Reads one letter for libedit: -1 after Ctrl-C, 0 at the end of the input. libedit's own reader
/// would miss a Ctrl-C that comes just before it begins to wait.
int read_letter(EditLine* /*editor*/, wchar_t* letter) {
  std::mbstate_t state = {};
  while (wait_readable(STDIN_FILENO, redraw)) {
    char byte = 0;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return static_cast<int>(got);
    const std::size_t length = std::mbrtowc(letter, &byte, 1, &state);
    if (length == static_cast<std::size_t>(-2)) continue;  // the letter goes on
    if (length == static_cast<std::size_t>(-1)) *letter = L'\uFFFD';
    return 1;
  }
  return -1;
}

/// Where the history is kept; its folder is made. Empty when there is no place for it.
std::string history_file() {
  fs::path folder = environment("XDG_STATE_HOME").value_or("");
  if (!folder.is_absolute()) folder = fs::path(environment("HOME").value_or("")) / ".local/state";
  if (!folder.is_absolute()) return "";
  folder /= "aira-cli";
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return "";
  fs::permissions(folder, fs::perms::owner_all, problem);  // questions are nobody else's business
  return (folder / "history").string();
}

/// The line of input: libedit with a prompt and a history file on a terminal, plain lines without a
/// prompt when stderr is none.
class LineEditor {
 public:
  LineEditor() {
    if (::isatty(STDERR_FILENO) != 1) return;
    std::setlocale(LC_CTYPE, "");  // letters outside ASCII need a locale that knows UTF-8
    if (std::strcmp(::nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
    history_ = ::history_init();
    editor_ = ::el_init("aira-cli", stdin, stderr, stderr);
    if (history_ == nullptr || editor_ == nullptr) return;
    shown = editor_;
    ::history(history_, &event_, H_SETSIZE, kHistoryLines);
    ::history(history_, &event_, H_SETUNIQUE, 1);
    if (!file_.empty()) ::history(history_, &event_, H_LOAD, file_.c_str());
    ::el_set(editor_, EL_PROMPT_ESC, prompt, kInvisible);
    ::el_set(editor_, EL_EDITOR, "emacs");
    ::el_set(editor_, EL_GETCFN, read_letter);
    ::el_set(editor_, EL_HIST, ::history, history_);
    ::el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_source(editor_, nullptr);  // ~/.editrc
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor() {
    if (editor_ != nullptr) ::el_end(editor_);
    if (history_ != nullptr) ::history_end(history_);
  }

  /// The next line, without its end; empty after Ctrl-C; nothing after Ctrl-D. The arrow keys bring
  /// it back, in this session and the next.
  std::optional<std::string> read() {
    std::optional<std::string> line = shown == nullptr ? plain_.next() : edited();
    if (!line && interrupted()) line = "";
    clear_interrupt();
    return line;
  }

 private:
  std::optional<std::string> edited() {
    ::el_resize(editor_);
    ::el_set(editor_, EL_PREP_TERM, 1);  // before the prompt: a Ctrl-D right after it counts
    int length = 0;
    const char* text = ::el_gets(editor_, &length);
    if (interrupted() || text == nullptr || length <= 0) {
      print_aside("\n");
      return std::nullopt;
    }
    std::string line(text, static_cast<std::size_t>(length));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(kBlanks) == std::string::npos) return line;
    ::history(history_, &event_, H_ENTER, line.c_str());
    // At once, not at the end: a closed terminal window must not cost the history.
    if (!file_.empty()) ::history(history_, &event_, H_SAVE, file_.c_str());
    return line;
  }

  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  HistEvent event_ = {};
  std::string file_ = history_file();  // empty: none
  LineReader plain_;
};

constexpr const char* kHelp =
    "/help                 this list\n"
    "/reset                forget the dialogue and the options set here\n"
    "/seed [N]             show or set the seed\n"
    "/params [NAME VALUE]  show the request options or set one, e.g. /params temperature 0.7\n"
    "/exit                 leave (so does Ctrl-D)\n"
    "Ctrl-C stops the running answer. Put a space before a question that begins with /.\n";

/// The first word of `text`, which loses it and the blanks around it.
std::string take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  std::string word(text.substr(0, text.find_first_of(kBlanks)));
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return word;
}

class Chat {
 public:
  explicit Chat(const AskOptions& options)
      : options_(options), answering_(options), request_(options.request) {}

  void run() {
    catch_interrupts();
    if (!options_.quiet && ::isatty(STDERR_FILENO) == 1) {
      note(printable(answering_.model_name()) + "; /help lists the commands, Ctrl-D leaves.");
    }
    if (options_.history && !options_.form && !options_.quiet &&
        answering_.engine().prompts().has_markers()) {
      note("this model was trained on single questions; with --history it may answer worse.");
    }
    LineEditor editor;
    while (const std::optional<std::string> line = leaving_ ? std::nullopt : editor.read()) {
      if (line->find_first_not_of(kBlanks) == std::string::npos) continue;
      const std::optional<Error> problem =
          problem_in([&] { line->starts_with('/') ? command(*line) : ask(*line); });
      if (problem) report_error(problem->with_fields());
    }
  }

 private:
  void command(std::string_view line) {
    const std::string name = take_word(line);
    if (name == "/exit") {
      leaving_ = true;
    } else if (name == "/help") {
      print_aside(kHelp);
    } else if (name == "/reset") {
      turns_.clear();
      request_ = options_.request;
      print_aside("dialogue and options are reset\n");
    } else if (name == "/seed") {
      if (!line.empty()) set("seed", line);
      print_aside("seed " + std::to_string(in_use().seed) + "\n");
    } else if (name == "/params") {
      const std::string setting = take_word(line);
      if (!setting.empty()) set(setting, line);
      show_params(setting);
    } else {
      throw Error("There is no command " + quote(name) + "; /help lists them.");
    }
  }

  void set(const std::string& name, std::string_view value) {
    if (value.empty()) throw Error("/params needs a name and a value.");
    RequestChanges changed = request_;
    changed.set_words(request_option(name), std::array{std::string(value)});
    // Refuses what does not go together.
    if (changed.over(answering_.engine().defaults()).logprobs >= 0) {
      throw Error("logprobs are printed with --jsonl alone; the chat has no place for them.");
    }
    request_ = std::move(changed);
  }

  /// All of them, or the one that was set.
  void show_params(const std::string& only) {
    const GenerateOptions options = in_use();
    for (const RequestOption& row : request_options()) {
      const nlohmann::json value = row.value(options);
      if (value.is_null() || (!only.empty() && row.name != only)) continue;
      print_aside(std::string(row.name) + " " +
                  value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    }
  }

  /// The question after as many turns as leave room for the answer: all the tokens it may have, as
  /// far as that is a quarter of the context at most.
  GenerateRequest request(const std::string& question) {
    const GenerateOptions options = in_use();
    const std::int64_t context = answering_.engine().info().context;
    const std::int64_t room = std::min(options.max_new_tokens, context / 4);
    for (;;) {
      GenerateRequest request = answering_.request(question, options, turns_);
      if (turns_.empty() || std::ssize(request.prompt) + room <= context) return request;
      turns_.erase(turns_.begin());
      if (!std::exchange(dropped_, true) && !options_.quiet) {
        note("the dialogue has grown longer than the model's context of " +
             std::to_string(context) + " tokens: its oldest turns are left out from now on.");
      }
    }
  }

  void ask(const std::string& question) {
    const std::vector<Answer> answers = answering_.stream(request(question));
    if (answers.front().finish != FinishReason::kInterrupted && options_.history) {
      turns_.emplace_back(question, answer_text(answers.front()));
    }
    if (answers.back().finish == FinishReason::kInterrupted) clear_interrupt();
  }

  /// In a --template with the white space before it, as the model said it.
  std::string answer_text(const Answer& answer) {
    const std::string said = answering_.engine().tokenizer().decode(answer.token_ids, true);
    const std::size_t before = options_.form ? said.find(answer.text) : 0;
    return before == std::string::npos ? answer.text : said.substr(0, before) + answer.text;
  }

  GenerateOptions in_use() { return request_.over(answering_.engine().defaults()); }

  const AskOptions& options_;
  Answering answering_;
  RequestChanges request_;  // the command line's, changed by /params
  std::vector<Prompts::Turn> turns_;
  bool dropped_ = false;  // turns were left out
  bool leaving_ = false;
};

}  // namespace

int run_chat(const AskOptions& options) {
  Chat(options).run();
  return kDone;
}

}  // namespace aira
