// The program, and the one place where errors become an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <new>

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

/// The exit code.
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
    const std::string reason = aira::system_message(error.code().value());
    aira::report_error(
        error.file().empty()
            ? aira::Error("[E001] Writing to stdout failed: {}.", {reason})
            : aira::Error("[E168] Writing to {} failed: {}. Once that is mended, --resume goes on.",
                          {aira::quote(error.file(), 4096), reason}));
  } catch (const std::bad_alloc&) {
    aira::report_error(aira::Error("[E002] There is not enough memory."));
  } catch (const std::exception& error) {
    aira::report_error(aira::Error("[E003] Something unexpected failed: {}.", {error.what()}));
  }
  return aira::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed reader is an error of write() instead
  std::signal(SIGXFSZ, SIG_IGN);  // and so is ulimit -f
  aira::choose_language();
  aira::catch_lost_files();
  const int code = run(argc, argv);
  aira::end_by_signal();
  return code;
}
