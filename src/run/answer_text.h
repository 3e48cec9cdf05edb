// The text of a growing answer: whole characters only, surrounding white space trimmed, cut at stop
// texts. Text that has been returned is final: what may turn out to be part of a stop text or of
// trailing white space is held back.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aira/tokenizer.h"

namespace aira {

class AnswerText {
 public:
  /// Empty stop texts are ignored.
  explicit AnswerText(std::vector<std::string> stops);

  /// Takes a token's bytes; returns the text that has become final. Empty after a stop text.
  std::string push(std::string_view bytes);
  /// Ends the answer; returns what was held back, less trailing white space.
  std::string finish();
  /// Whether a stop text has been seen.
  bool stopped() const { return stopped_; }
  /// Everything returned so far.
  const std::string& text() const { return text_; }

 private:
  std::string release(std::size_t length);

  std::vector<std::string> stops_;
  Utf8Stream letters_;
  std::string held_;
  std::string text_;
  bool stopped_ = false;
};

/// Detects an answer that repeats itself: it ends in the same tokens three or more times in a row,
/// at least kLeast tokens in all (a single token: kLeast times).
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
