// Direct writes without a buffer: every answer's piece or line goes out as soon as it is complete.
#include "app/output.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace aira {
namespace {

constexpr double kInterval = 0.25;  // seconds between two updates of the progress line

/// 0, or the errno that stopped the writing.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/// The length of the line break that `text` begins with, 0 when it does not.
std::size_t line_break(std::string_view text) {
  using namespace std::string_view_literals;
  static constexpr std::array kBreaks = {"\r\n"sv,     "\n"sv,           "\r"sv,          "\v"sv,
                                         "\f"sv,       "\x1c"sv,         "\x1d"sv,        "\x1e"sv,
                                         "\xc2\x85"sv, "\xe2\x80\xa8"sv, "\xe2\x80\xa9"sv};
  for (const std::string_view candidate : kBreaks) {
    if (text.starts_with(candidate)) return candidate.size();
  }
  return 0;
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// "1:02:03" or "02:03".
std::string clock_time(double seconds_left) {
  const auto whole = static_cast<long long>(seconds_left + 0.5);
  std::array<char, 32> text{};
  if (whole >= 3600) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                  whole % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%02lld:%02lld", whole / 60, whole % 60);
  }
  return text.data();
}

}  // namespace

void print(std::string_view text) {
  const int problem = write_all(STDOUT_FILENO, text);
  if (problem == EPIPE) throw ClosedReader();
  if (problem != 0) {
    throw WriteFailed("Writing to stdout failed: " + std::generic_category().message(problem) +
                      ".");
  }
}

// A failure of stderr cannot be reported anywhere.
void print_aside(std::string_view text) { write_all(STDERR_FILENO, text); }

void note(std::string_view sentence) { print_aside("aira-cli: " + std::string(sentence) + "\n"); }

void report_error(std::string_view sentence) { note("error: " + std::string(sentence)); }

std::string one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = line_break(text);
    line += length == 0 ? text.front() : ' ';
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return line;
}

bool colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
         term != nullptr && std::string_view(term) != "dumb";
}

std::optional<Error> problem_in(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

Progress::Progress(bool wanted)
    : on_(wanted && ::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 0) {}

void Progress::line_done(double fraction) {
  ++lines_;
  if (!on_) return;
  const Clock::time_point now = Clock::now();
  if (seconds(now - shown_) < kInterval) return;
  shown_ = now;
  const double elapsed = seconds(now - started_);
  std::array<char, 128> line{};
  std::snprintf(line.data(), line.size(), "%zu lines done, %.0f tokens/s", lines_,
                static_cast<double>(tokens_) / elapsed);
  std::string text = line.data();
  if (fraction > 0) text += ", " + clock_time(elapsed * (1 - fraction) / fraction) + " left";
  print_aside("\r" + text + "\x1b[K");
  visible_ = true;
}

void Progress::clear() {
  if (visible_) print_aside("\r\x1b[K");
  visible_ = false;
}

}  // namespace aira
