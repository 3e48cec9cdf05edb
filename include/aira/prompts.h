// From a question, a dialogue or a text to the ids that the model goes on from, and the ids that
// end an answer.
#pragma once

#include <utility>

#include "aira/tokenizer.h"

namespace aira {

class Prompts {
 public:
  /// The end ids of config.json, and of generation_config.json, which count instead if there are
  /// any.
  Prompts(const Tokenizer& tokenizer, std::vector<std::int32_t> config_ends,
          std::span<const std::int32_t> generation_ends);

  /// Whether the tokenizer has tokens to stand before and after a question: the two instruction
  /// tokens, or by other names its bos and sep. A base model completes raw text only.
  bool has_markers() const { return markers_.has_value(); }
  /// Marker + question + marker, after the earlier (question, answer) pairs of the dialogue, each
  /// closed by the end token. Throws Error when the model has no markers (use raw).
  std::vector<std::int32_t> question(
      std::string_view question,
      std::span<const std::pair<std::string, std::string>> turns = {}) const;
  /// The text as it stands (text_start() when it is empty).
  std::vector<std::int32_t> raw(std::string_view text) const;
  /// The text's own ids; special tokens in it are text.
  std::vector<std::int32_t> plain(std::string_view text) const;
  /// The token that stands before a text that has nothing before it: the end-of-text token. Throws
  /// Error when the model has none.
  std::int32_t text_start() const;

  /// The ids that end an answer: what generation_config.json says, else config.json, else the
  /// tokenizer's; and the completion end.
  const std::vector<std::int32_t>& end_ids() const { return end_ids_; }

 private:
  const Tokenizer& tokenizer_;
  std::optional<std::pair<std::int32_t, std::int32_t>> markers_;  // before, after a question
  std::vector<std::int32_t> end_ids_;
  std::vector<std::int32_t> model_ends_;  // of the model's config alone
};

}  // namespace aira
