// Direct writes without a buffer: every answer's piece or line goes out as soon as it is complete.
#include "app/output.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/interrupt.h"
#include "base/printable.h"
#include "base/user_path.h"
#include "base/utf8.h"

namespace aira {
namespace {

/// What may be written at once where wait_writable() says that there is room: of a pipe that means
/// so much, and files have no such limit.
std::size_t most_at_once(int fd) {
  struct stat status {};
  const bool file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return file ? std::numeric_limits<std::size_t>::max() : PIPE_BUF;
}

}  // namespace

int write_all(int fd, std::string_view text) {
  const std::size_t most = most_at_once(fd);
  while (!text.empty()) {
    if (!wait_writable(fd)) return EINTR;
    const ssize_t written = ::write(fd, text.data(), std::min(text.size(), most));
    if (written < 0 && errno != EAGAIN && errno != EINTR) return errno;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

void write_file(int fd, std::string_view text, const std::string& file) {
  const int problem = write_all(fd, text);
  if (problem != 0) throw WriteFailed(problem, file);
}

bool has_escapes() { return environment("TERM").value_or("dumb") != "dumb"; }

bool colours() { return !environment("NO_COLOR") && has_escapes(); }

int terminal_columns(int fd) {
  winsize size = {};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void print(std::string_view text) { write_file(STDOUT_FILENO, text, ""); }

std::string json_text(const nlohmann::ordered_json& value) {
  const std::string plain =
      value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string line;
  line.reserve(plain.size());
  std::string_view rest = plain;
  const auto next = [&rest] {  // where an escape may be due
    return std::find_if(rest.begin(), rest.end(), [](char byte) {
      return byte == '\x7F' || byte == '\xC2' || byte == '\xE2';
    });
  };
  for (const auto* at = next(); at != rest.end(); at = next()) {
    line += rest.substr(0, static_cast<std::size_t>(at - rest.begin()));
    rest.remove_prefix(static_cast<std::size_t>(at - rest.begin()));
    std::size_t length = 0;
    const char32_t code = next_code_point(rest, length);
    const bool is_break = code == 0x2028 || code == 0x2029;
    line += is_break || is_control(code) ? format("\\u%04x", static_cast<unsigned>(code))
                                         : std::string(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  return line.append(rest);
}

void print_json(const nlohmann::ordered_json& value) { print(json_text(value) + "\n"); }

// A failure of stderr cannot be reported anywhere.
void print_aside(std::string_view text) { write_all(STDERR_FILENO, text); }

void note(std::string_view sentence) {
  print_aside("aira-cli: " + without_controls(valid_utf8(sentence)) + "\n");
}

void report_error(const Error& error, std::string_view where, bool with_fields) {
  note(message("error: ") + error.tag() + std::string(where) +
       (with_fields ? error.with_fields() : error.what()));
}

std::string one_line(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kBreaks = {
      "\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\u0085", "\u2028", "\u2029"};
  std::string line;
  while (!text.empty()) {
    const auto* const found =
        std::find_if(kBreaks.begin(), kBreaks.end(),
                     [&](std::string_view one) { return text.starts_with(one); });
    line += found == kBreaks.end() ? text.front() : ' ';
    text.remove_prefix(found == kBreaks.end() ? 1 : found->size());
  }
  return line;
}

std::string padded(std::string text, int width) {
  const auto letters = static_cast<int>(count_letters(text));
  const auto missing = static_cast<std::size_t>(std::max(std::abs(width) - letters, 0));
  return width < 0 ? text.insert(0, missing, ' ') : text.append(missing, ' ');
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto number = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < kUnits.size()) {
    number /= 1000;
    ++unit;
  }
  const char* const pattern = number >= 9.95 || unit == 0 ? "%.0f %s" : "%.1f %s";
  return format(pattern, number, kUnits[unit]);
}

std::optional<Error> problem_in(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace aira
