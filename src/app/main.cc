// The program, and the one place where errors become an exit code.
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string>

#include "aira/error.h"
#include "app/command_line.h"
#include "app/interrupt.h"
#include "app/language.h"
#include "app/lost_file.h"
#include "app/output.h"
#include "base/printable.h"

namespace {

/// Keeps 0, 1 and 2 from being given to files that are opened later: a closed one becomes a
/// descriptor that cannot be read from (stdin) or written to.
void occupy_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// The exit code. Throws std::bad_alloc when there is not even memory to say what has failed.
int run(int argc, char** argv) {
  try {
    return aira::parse_command_line(argc, argv)();
  } catch (const aira::UsageError& error) {
    aira::report_error(error);
    aira::print_aside(aira::message("try 'aira-cli --help'\n"));
    return aira::kUsage;
  } catch (const aira::Error& error) {
    aira::report_error(error);
  } catch (const aira::WriteFailed& error) {
    if (error.code() == std::errc::broken_pipe) return aira::kDone;
    if (error.code() == std::errc::interrupted) return aira::kInterrupted;
    const std::string reason = aira::system_message(error.code().value());
    aira::report_error(
        error.file().empty()
            ? aira::Error("[E001] Writing to stdout failed: {}.", {reason})
            : aira::Error("[E168] Writing to {} failed: {}. Once that is mended, --resume goes on.",
                          {aira::quote(error.file(), 4096), reason}));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    aira::report_error(aira::Error("[E003] Something unexpected failed: {}.", {error.what()}));
  }
  return aira::kFailed;
}

/// What is said when there is no memory, written before.
const char* no_memory = "aira-cli: error: [E002] There is not enough memory.\n";

/// Once, whoever finds it out first.
void report_no_memory() {
  static std::atomic_flag reported;
  if (!reported.test_and_set()) aira::print_aside(no_memory);
}

/// How the terminal was when the program began, if stdin is one.
std::optional<termios> terminal;

/// Set where operator new finds no memory.
std::atomic<bool> memory_was_short{false};

[[noreturn]] void end_allocation() {
  memory_was_short = true;
  throw std::bad_alloc();
}

/// Some functions of libraries that are declared not to throw need memory all the same. Not all
/// compilers' code for that catches the exception before it comes here.
[[noreturn]] void end_without_memory() {
  if (!memory_was_short || (!std::current_exception() && std::uncaught_exceptions() == 0)) {
    std::abort();  // a mistake in the program
  }
  if (terminal) ::tcsetattr(STDIN_FILENO, TCSANOW, &*terminal);
  report_no_memory();
  ::_exit(aira::kFailed);
}

/// run() in the user's language.
int run_with_sentence_at_hand(int argc, char** argv) {
  std::string sentence;
  if (termios modes{}; ::tcgetattr(STDIN_FILENO, &modes) == 0) terminal = modes;
  std::set_new_handler(end_allocation);
  std::set_terminate(end_without_memory);
  try {
    aira::choose_language();
    aira::catch_lost_files();
    const aira::Error error("[E002] There is not enough memory.");
    sentence = "aira-cli: " + aira::message("error: ") + error.tag() + error.what() + "\n";
    no_memory = sentence.c_str();
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    report_no_memory();
  }
  return aira::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed reader is an error of write() instead
  std::signal(SIGXFSZ, SIG_IGN);  // and so is ulimit -f
  const int code = run_with_sentence_at_hand(argc, argv);
  aira::end_by_signal();
  return code;
}
