#include "app/line_editor.h"

#include <fcntl.h>
#include <langinfo.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "app/interrupt.h"
#include "app/output.h"
#include "base/utf8.h"

namespace aira {
namespace {

constexpr std::string_view kBlanks = " \t\n";
constexpr char kInvisible = '\1';  // brackets what takes no room in the prompt

char* prompt(EditLine* /*editor*/) {
  static char plain[] = "> ";
  static char bold[] = "\1\033[1m\1> \1\033[0m\1";
  return colours() ? bold : plain;
}

/// stderr, or the terminal that stdin is; null when there is none.
std::FILE* find_screen() {
  if (::isatty(STDERR_FILENO) == 1) return stderr;
  const int fd =
      ::isatty(STDIN_FILENO) == 1 ? ::open("/proc/self/fd/0", O_WRONLY | O_NOCTTY | O_CLOEXEC) : -1;
  return fd < 0 ? nullptr : ::fdopen(fd, "w");
}

LineEditor* shown = nullptr;              // the one editor, for redraw
volatile std::sig_atomic_t marking = -1;  // the terminal that was told to mark pastes

void mark_pastes(int fd, bool on) {
  const std::string_view code = on ? "\x1b[?2004h" : "\x1b[?2004l";
  marking = on ? fd : -1;
  [[maybe_unused]] const ssize_t written = ::write(fd, code.data(), code.size());
}

/// Ctrl-Z: the shell that comes to the fore must not get marks.
extern "C" void on_stop(int signal) {
  if (marking >= 0) mark_pastes(marking, false);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void catch_stop() {
  struct sigaction action = {};
  ::sigaction(SIGTSTP, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;
  action.sa_handler = on_stop;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTSTP, &action, nullptr);
}

}  // namespace

LineEditor::LineEditor(Complete complete) : complete_(std::move(complete)), screen_(find_screen()) {
  if (screen_ == nullptr) return;
#ifndef AIRA_STATIC
  std::setlocale(LC_CTYPE, "");  // letters outside ASCII need a locale that knows UTF-8
  if (std::strcmp(::nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
  if (std::mblen("é", 2) != 2) return;  // rather no editing than letters that cannot be typed
#endif
  editor_ = ::el_init("aira-cli", stdin, screen_, screen_);
  if (editor_ == nullptr) return;
  history_ = std::make_unique<QuestionHistory>();
  shown = this;
  ::el_set(editor_, EL_CLIENTDATA, this);
  ::el_set(editor_, EL_PROMPT_ESC, prompt, kInvisible);
  ::el_set(editor_, EL_EDITOR, "emacs");
  ::el_set(editor_, EL_GETCFN, read_letter);
  ::el_set(editor_, EL_HIST, ::history, history_->lines());
  ::el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  ::el_source(editor_, nullptr);  // ~/.editrc
  bind_keys();
}

LineEditor::~LineEditor() {
  if (editor_ != nullptr) {
    prepare(false);
    ::el_end(editor_);
    shown = nullptr;
  }
  if (screen_ != nullptr && screen_ != stderr) std::fclose(screen_);
}

LineEditor& LineEditor::of(EditLine* editor) {
  void* self = nullptr;
  ::el_get(editor, EL_CLIENTDATA, &self);
  return *static_cast<LineEditor*>(self);
}

/// Makes the terminal ready for editing, or gives it back.
void LineEditor::prepare(bool raw) {
  if (editor_ == nullptr) return;
  ::el_set(editor_, EL_PREP_TERM, raw ? 1 : 0);
  if (raw) catch_stop();
  if (raw != (marking >= 0) && has_escapes()) mark_pastes(::fileno(screen_), raw);
}

/// libedit believes that the terminal is as it left it.
void LineEditor::redraw() {
  ::el_resize(shown->editor_);
  shown->prepare(false);
  shown->prepare(true);
  shown->print("\r");
  ::el_set(shown->editor_, EL_REFRESH);
}

std::optional<std::string> LineEditor::read() {
  std::optional<std::string> line = editor_ == nullptr ? plain_.next() : edited();
  if (!line && interrupted() && !terminated()) {  // else a Ctrl-C is for the answer
    clear_interrupt();
    line = "";
  }
  return line;
}

std::optional<std::string> LineEditor::edited() {
  prepare(true);  // before the prompt: a Ctrl-D right after it counts
  too_long_ = broken_ = false;
  int length = 0;
  const wchar_t* text = ::el_wgets(editor_, &length);
  prepare(true);  // libedit has given it back
  if (interrupted() || text == nullptr || length <= 0) {
    print("\n");
    return std::nullopt;
  }
  std::string line = utf8_of(std::wstring_view(text, static_cast<std::size_t>(length)));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  if (too_long_) {
    report(
        Error("[E200] A question may have 1 MiB at most; this one is longer and was not asked."));
    return "";
  }
  if (broken_ && line.find(kReplacement) != std::string::npos) {
    report(
        Error("[E201] The terminal sent bytes that are not UTF-8; the line was not taken. Does "
              "the terminal use another encoding, such as Latin-1?"));
    return "";
  }
  if (line.find_first_not_of(kBlanks) != std::string::npos) history_->add(line);
  return line;
}

void LineEditor::add(const std::string& question) {
  if (editor_ == nullptr) return;
  history_->add(question);
  print("> " + question + "\n");
}

void LineEditor::print(std::string_view text) {
  if (screen_ == nullptr || screen_ == stderr) return print_aside(text);
  std::fwrite(text.data(), 1, text.size(), screen_);
  std::fflush(screen_);
}

void LineEditor::report(const Error& error) {
  report_error(error, {}, true);
  if (screen_ == nullptr || screen_ == stderr) return;
  print("aira-cli: " + message("error: ") + "[" + error.id() + "] " + error.with_fields() + "\n");
}

void LineEditor::suspend(const std::function<void()>& work) {
  prepare(false);
  work();
}

}  // namespace aira
