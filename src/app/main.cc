// The program: what is asked for, done; and the one place where errors become an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <exception>
#include <new>
#include <random>

#include "aira/error.h"
#include "app/commands.h"
#include "app/options.h"
#include "app/output.h"

namespace aira {
namespace {

constexpr int kUsage = 2;

/// Keeps 0, 1 and 2 from being given to files that are opened later: who was started with one of
/// them closed gets one there that cannot be read from or written to.
void occupy_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

int ask(Options& options) {
  // One seed for the whole run, short enough to be typed again; a --seed that was given overrides.
  options.settings.emplace(options.settings.begin(), "seed", std::uint64_t{std::random_device()()});
  if (options.question) return run_one_shot(options);
  if (options.jsonl) return run_json_lines(options);
  const bool chat = !options.file && ::isatty(STDIN_FILENO) == 1;
  if (options.history && !chat) {
    throw UsageError("--history is for the chat, which needs a terminal as stdin.");
  }
  return chat ? run_chat(options) : run_pipe(options);
}

int run(int argc, const char* const* argv) {
  CommandLine line = parse_command_line(argc, argv);
  if (!line.text.empty()) {
    print(line.text);
    return kDone;
  }
  switch (line.options.command) {
    case Command::kAsk:
      return ask(line.options);
    case Command::kTokenize:
      return run_tokenize(line.options);
    case Command::kScore:
      return run_score(line.options);
    case Command::kInfo:
      return run_info(line.options);
    case Command::kBench:
      return run_bench(line.options);
  }
  return kFailed;
}

}  // namespace
}  // namespace aira

int main(int argc, char** argv) {
  aira::occupy_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed reader is an error of write() instead
  try {
    return aira::run(argc, argv);
  } catch (const aira::ClosedReader&) {
    return aira::kDone;
  } catch (const aira::UsageError& error) {
    aira::report_error(error.what());
    aira::print_aside("try 'aira-cli --help'\n");
    return aira::kUsage;
  } catch (const aira::Error& error) {
    aira::report_error(error.what());
  } catch (const aira::WriteFailed& error) {
    aira::report_error(error.what());
  } catch (const std::bad_alloc&) {
    aira::report_error("There is not enough memory.");
  } catch (const std::exception& error) {
    aira::report_error(std::string("Something unexpected failed: ") + error.what() + ".");
  }
  return aira::kFailed;
}
