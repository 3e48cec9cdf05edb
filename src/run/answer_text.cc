#include "run/answer_text.h"

#include <algorithm>

namespace aira {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

/// Length of the longest suffix of `text` that is a proper prefix of `stop`.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (text.substr(text.size() - n) == stop.substr(0, n)) return n;
  }
  return 0;
}

}  // namespace

/// Returns the first `length` bytes held, less white space to be trimmed.
std::string AnswerText::release(std::size_t length) {
  std::string_view part = std::string_view(held_).substr(0, length);
  const std::size_t last = part.find_last_not_of(kWhiteSpace);
  if (!keep_space_) part = part.substr(0, last == std::string_view::npos ? 0 : last + 1);
  const std::size_t taken = part.size();
  if (text_.empty() && !keep_space_)
    part.remove_prefix(std::min(part.find_first_not_of(kWhiteSpace), taken));
  std::string released(part);
  held_.erase(0, taken);
  text_ += released;
  return released;
}

std::string AnswerText::push(std::string_view bytes) {
  if (stopped_) return {};
  held_ += letters_.push(bytes);
  const std::size_t stop = find_stop();
  if (stop != std::string::npos) return release(stop);
  std::size_t held_back = 0;
  for (const std::string& one : stops_) held_back = std::max(held_back, overlap(held_, one));
  return release(held_.size() - held_back);
}

/// Where the first stop text begins in what is held; npos without one.
std::size_t AnswerText::find_stop() {
  std::size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, held_.find(stop));
  stopped_ = found != std::string::npos;
  return found;
}

std::string AnswerText::finish() {
  if (stopped_) return {};
  held_ += letters_.finish();  // U+FFFD may be a stop text
  return release(std::min(find_stop(), held_.size()));
}

std::string without_white_space(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(kWhiteSpace), text.size());
  return std::string(text.substr(first, text.find_last_not_of(kWhiteSpace) + 1 - first));
}

bool completes(std::span<const std::string> stops, std::span<const std::int32_t> before,
               std::int32_t token, const std::function<std::string(std::int32_t)>& bytes_of) {
  std::size_t longest = 0;
  for (const std::string& stop : stops) longest = std::max(longest, stop.size());
  if (longest == 0) return false;
  std::string text;  // the last bytes before the token's
  for (; !before.empty() && text.size() + 1 < longest; before = before.first(before.size() - 1)) {
    text.insert(0, bytes_of(before.back()));
  }
  const std::size_t known = text.size();
  text += bytes_of(token);
  return std::any_of(stops.begin(), stops.end(), [&](const std::string& stop) {
    const std::size_t from = known - std::min(known, stop.size() - 1);
    return text.find(stop, from) != std::string::npos;
  });
}

bool repeats(std::span<const std::int32_t> ids) {
  for (std::size_t period = 1; period <= 100; ++period) {
    const std::size_t length = std::max<std::size_t>(3 * period, 16);
    if (length > ids.size()) continue;
    const auto later = ids.last(length - period);
    if (std::equal(later.begin(), later.end(), ids.last(length).begin())) return true;
  }
  return false;
}

}  // namespace aira
