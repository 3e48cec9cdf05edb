#include "app/status_line.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "app/output.h"
#include "base/utf8.h"

namespace aira {

void StatusLine::show(std::string text) {
  // A letter in the last column would make some terminals begin a new line.
  const int columns = terminal_columns(STDERR_FILENO);
  text.resize(end_of_letters(text, static_cast<std::size_t>(columns > 1 ? columns : 80) - 1));
  const std::size_t letters = count_letters(text);
  if (has_escapes()) {
    text += "\x1b[K";
  } else {
    text.append(std::max(visible_, letters) - letters, ' ');
  }
  print_aside("\r" + text);
  visible_ = letters;
}

void StatusLine::clear() {
  if (visible_ == 0) return;
  print_aside(has_escapes() ? "\r\x1b[K" : "\r" + std::string(visible_, ' ') + "\r");
  visible_ = 0;
}

std::string clock_time(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  return (whole >= 3600 ? format("%lld:", whole / 3600) : "") +
         format("%02lld:%02lld", whole / 60 % 60, whole % 60);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array<const char*, 4> kUnits = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double size = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; size >= 999.95 && unit + 1 < kUnits.size(); size /= 1000) ++unit;
  return format("%.1f %s", size, kUnits[unit]);
}

}  // namespace aira
