// libedit draws on stderr, so that stdout carries answers only (`| tee answers`).
#include "app/line_editor.h"

#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <filesystem>

#include "app/interrupt.h"
#include "app/model_lookup.h"
#include "app/output.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr int kHistoryLines = 1000;
constexpr std::string_view kBlanks = " \t";
constexpr char kInvisible = '\1';  // brackets what takes no room in the prompt

char* prompt(EditLine* /*editor*/) {
  static char plain[] = "> ";
  static char bold[] = "\1\033[1m\1> \1\033[0m\1";
  return colours() ? bold : plain;
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

}  // namespace

LineEditor::LineEditor() : file_(history_file()) {
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

LineEditor::~LineEditor() {
  if (editor_ != nullptr) ::el_end(editor_);
  if (history_ != nullptr) ::history_end(history_);
}

std::optional<std::string> LineEditor::read() {
  std::optional<std::string> line = shown == nullptr ? plain_.next() : edited();
  if (!line && interrupted()) line = "";
  clear_interrupt();
  return line;
}

std::optional<std::string> LineEditor::edited() {
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

}  // namespace aira
