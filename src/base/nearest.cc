#include "base/nearest.h"

#include <algorithm>
#include <vector>

namespace aira {
namespace {

/// Longer words are no slips of the hand, and their distance takes time.
constexpr std::size_t kLongest = 64;

std::string folded(std::string_view text) {
  std::string folded(text);
  for (char& letter : folded) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    if (letter == '_') letter = '-';
  }
  return folded;
}

/// The fewest insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string> names) {
  if (word.empty() || word.size() > kLongest) return {};
  const std::string meant = folded(word);
  std::string best;
  std::size_t least = meant.size() / 3 + 1;
  for (const std::string& name : names) {
    const std::string one = folded(name);
    const bool begun = meant.size() >= 3 && one.starts_with(meant);
    const std::size_t far =
        begun ? std::min<std::size_t>(distance(meant, one), 1) : distance(meant, one);
    if (far >= least) continue;
    least = far;
    best = name;
  }
  return best;
}

}  // namespace aira
