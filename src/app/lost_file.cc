// The page is read in the middle of a computation, in any thread: there is nothing to go on with,
// so the handler says what happened and leaves at once. It calls nothing that is not safe there.
#include "app/lost_file.h"

#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>

#include "aira/error.h"
#include "app/command_line.h"
#include "base/lost_pages.h"

namespace aira {
namespace {

const std::string* opening = nullptr;  // of the line
termios settings;                      // of the terminal
bool has_settings = false;
std::atomic_flag is_leaving;

void write_text(const char* text, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(STDERR_FILENO, text, size);
    if (written <= 0) return;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

extern "C" void on_lost_page(int signal, siginfo_t* info, void* /*context*/) {
  const char* sentence = lost_page_sentence(info->si_addr);
  if (sentence == nullptr) {  // none of our files: as if there were no handler
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  while (is_leaving.test_and_set()) ::pause();  // another thread has met a lost page too
  // An editor may have had others. A shell in front of us has its own.
  if (has_settings && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &settings);
  }
  write_text(opening->data(), opening->size());
  write_text(sentence, std::strlen(sentence));
  write_text("\n", 1);
  ::_exit(kFailed);
}

}  // namespace

void catch_lost_files() {
  has_settings = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &settings) == 0;
  // On a terminal the line may follow half of another one.
  static const std::string kOpening =
      (::isatty(STDERR_FILENO) == 1 ? "\n" : "") + std::string("aira-cli: ") + message("error: ");
  opening = &kOpening;
  struct sigaction action = {};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace aira
