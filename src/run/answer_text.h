// The text of a growing answer: whole characters only, surrounding white space trimmed (unless it
// is to be kept), cut at stop texts. Text that has been returned is final: what may turn out to be
// part of a stop text or of trailing white space is held back.
#pragma once

#include <functional>

#include "aira/tokenizer.h"

namespace aira {

class AnswerText {
 public:
  /// Stop texts are not empty.
  explicit AnswerText(std::vector<std::string> stops, bool keep_space = false)
      : stops_(std::move(stops)), keep_space_(keep_space) {}

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
  std::size_t find_stop();

  std::vector<std::string> stops_;
  bool keep_space_;
  Utf8Stream letters_;
  std::string held_;
  std::string text_;
  bool stopped_ = false;
};

/// `text` without the white space around it, as answers are printed.
std::string without_white_space(std::string_view text);

/// Whether `token` after the ids `before` completes one of `stops`, as transformers' stop_strings
/// has it: the stop text's last byte is one of the token's; its first may be in the prompt.
bool completes(std::span<const std::string> stops, std::span<const std::int32_t> before,
               std::int32_t token, const std::function<std::string(std::int32_t)>& bytes_of);

/// Whether an answer repeats itself: it ends in the same up to 100 tokens three or more times in a
/// row, at least 16 tokens in all (a single token: 16 times).
bool repeats(std::span<const std::int32_t> ids);

}  // namespace aira
