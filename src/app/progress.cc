#include "app/progress.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "app/output.h"

namespace aira {
namespace {

constexpr double kInterval = 0.25;  // seconds between two shows

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

Progress::Progress(bool wanted)
    : on_(wanted && ::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 0) {}

void Progress::show(double fraction) {
  if (!on_) return;
  const Clock::time_point now = Clock::now();
  if (seconds(now - shown_) < kInterval) return;
  shown_ = now;
  const double elapsed = seconds(now - started_);
  std::array<char, 128> line{};
  std::snprintf(line.data(), line.size(), "%lld lines done, %.0f tokens/s",
                static_cast<long long>(lines_), static_cast<double>(tokens_) / elapsed);
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
