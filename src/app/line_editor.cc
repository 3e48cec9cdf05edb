// libedit draws on stderr, so that stdout carries answers only even in a chat (`| tee answers`).
#include "app/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <system_error>

#include "app/interrupt.h"
#include "app/line_reader.h"
#include "app/output.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr int kHistoryLines = 1000;
constexpr char kInvisible = '\1';  // brackets what takes no room in the prompt

char* prompt(EditLine* /*editor*/) {
  static char plain[] = "> ";
  static char bold[] = "\1\033[1m\1> \1\033[0m\1";
  static const bool coloured = colours();
  return coloured ? bold : plain;
}

EditLine* shown = nullptr;  // the one editor, for a hook that takes no argument

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
  while (wait_readable(STDIN_FILENO)) {
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
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home == '/') {
    folder = fs::path(home) / ".local" / "state";
  } else {
    return "";
  }
  folder /= "aira-cli";
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return "";
  fs::permissions(folder, fs::perms::owner_all, problem);  // questions are nobody else's business
  return (folder / "history").string();
}

/// Letters outside ASCII need a locale that knows UTF-8.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(::nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Impl {
  EditLine* editor = nullptr;
  History* history = nullptr;
  HistEvent event = {};
  std::string file;
  LineReader plain{"-"};

  Impl() {
    if (::isatty(STDERR_FILENO) != 1) return;
    use_utf8();
    history = ::history_init();
    editor = ::el_init("aira-cli", stdin, stderr, stderr);
    if (history == nullptr || editor == nullptr) return;
    ::history(history, &event, H_SETSIZE, kHistoryLines);
    ::history(history, &event, H_SETUNIQUE, 1);
    file = history_file();
    if (!file.empty()) ::history(history, &event, H_LOAD, file.c_str());
    ::el_set(editor, EL_PROMPT_ESC, prompt, kInvisible);
    ::el_set(editor, EL_EDITOR, "emacs");
    ::el_set(editor, EL_GETCFN, read_letter);
    ::el_set(editor, EL_HIST, ::history, history);
    ::el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_source(editor, nullptr);  // ~/.editrc
    shown = editor;
    redraw_with(redraw);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (editor != nullptr) ::el_end(editor);
    if (history != nullptr) ::history_end(history);
  }
};

LineEditor::LineEditor() : impl_(std::make_unique<Impl>()) {}
LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read() {
  if (impl_->editor == nullptr || impl_->history == nullptr) {
    std::optional<std::string> line = impl_->plain.next();
    if (!line && interrupted()) line = "";
    clear_interrupt();
    return line;
  }
  ::el_resize(impl_->editor);
  ::el_set(impl_->editor, EL_PREP_TERM, 1);  // before the prompt: a Ctrl-D right after it counts
  int length = 0;
  const char* text = ::el_gets(impl_->editor, &length);
  if (interrupted()) {
    clear_interrupt();
    print_aside("\n");
    return "";
  }
  if (text == nullptr || length <= 0) {
    print_aside("\n");
    return std::nullopt;
  }
  std::string line(text, static_cast<std::size_t>(length));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return line;
}

void LineEditor::remember(const std::string& line) {
  if (impl_->history == nullptr) return;
  ::history(impl_->history, &impl_->event, H_ENTER, line.c_str());
  // At once, not at the end: a closed terminal window must not cost the history.
  if (!impl_->file.empty()) {
    ::history(impl_->history, &impl_->event, H_SAVE, impl_->file.c_str());
  }
}

}  // namespace aira
