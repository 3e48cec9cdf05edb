// Detects an answer that repeats itself: it ends in the same tokens three or more times in a row,
// at least kLeast tokens in all (a single token: kLeast times).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace aira {

class LoopGuard {
 public:
  /// `ids` is the answer so far, one token longer than at the last call. True when it repeats.
  bool push(std::span<const std::int32_t> ids) {
    const auto last = static_cast<std::int64_t>(ids.size()) - 1;
    bool looping = false;
    for (std::int64_t period = 1; period <= std::min(kLongest, last); ++period) {
      std::int64_t& run = runs_[static_cast<std::size_t>(period)];
      const bool same =
          ids[static_cast<std::size_t>(last)] == ids[static_cast<std::size_t>(last - period)];
      run = same ? run + 1 : 0;
      // `run` tokens equal those one period before, so the last run + period are periodic.
      looping = looping || run + period >= std::max(3 * period, kLeast);
    }
    return looping;
  }

 private:
  static constexpr std::int64_t kLongest = 100;  // longest period
  static constexpr std::int64_t kLeast = 16;

  std::array<std::int64_t, kLongest + 1> runs_{};  // [period]
};

}  // namespace aira
