// From a question, a dialogue or a text to the ids that the model goes on from, and the ids that
// end an answer.
#pragma once

#include <utility>

#include "aira/tokenizer.h"

namespace aira {

class Prompts {
 public:
  /// The end ids of config.json, and of generation_config.json, which count instead if there are
  /// any. A text that cannot fit into `context` tokens is refused before it is tokenised; 0: no
  /// limit.
  Prompts(const Tokenizer& tokenizer, std::vector<std::int32_t> config_ends,
          std::span<const std::int32_t> generation_ends, std::int64_t context = 0);

  /// A question and its answer.
  using Turn = std::pair<std::string, std::string>;

  /// Whether the tokenizer has Aira's tokens to stand before and after a question: the two
  /// instruction tokens, or by other names its bos and sep. Such a model was trained on single
  /// questions.
  bool has_markers() const { return markers_.has_value(); }
  /// The question after the earlier turns of the dialogue, in the first of these forms that there
  /// is: `form`, a text with {question} or {} where a question goes; marker + question + marker;
  /// the tokenizer's chat template. Earlier answers are closed by the end token, or as the chat
  /// template has it. Special tokens in a form count, in questions and answers they are text.
  /// `system`, a message that stands before all turns, has a place in chat templates only. Throws
  /// Error when there is no form or no place, the question is far too long, or the chat template is
  /// beyond this program.
  std::vector<std::int32_t> question(std::string_view question, std::span<const Turn> turns = {},
                                     const std::string& form = {},
                                     std::string_view system = {}) const;
  /// Throws UsageError when `form` has no place for the question.
  static void check_form(const std::string& form);
  /// The text as transformers' `tokenizer(text)` takes it (text_start() when that gives nothing).
  std::vector<std::int32_t> raw(std::string_view text,
                                Tokenizer::Added added = Tokenizer::Added::kRecognise) const;
  /// The token that stands before a text that has nothing before it: the end-of-text token. Throws
  /// Error when the model has none.
  std::int32_t text_start() const;

  /// The ids that end an answer: what generation_config.json says, else config.json, else the
  /// tokenizer's; and the completion end.
  const std::vector<std::int32_t>& end_ids() const { return end_ids_; }

 private:
  void require_fit(std::string_view text) const;
  std::string content(std::int32_t id) const;
  std::vector<std::int32_t> marked(std::string_view question, std::span<const Turn> turns) const;
  std::vector<std::int32_t> formed(std::string_view question, std::span<const Turn> turns,
                                   const std::string& form) const;
  std::vector<std::int32_t> chat(std::string_view question, std::span<const Turn> turns,
                                 std::string_view system) const;

  const Tokenizer& tokenizer_;
  std::int64_t context_;
  std::optional<std::pair<std::int32_t, std::int32_t>> markers_;  // before, after a question
  std::vector<std::int32_t> end_ids_;
  std::vector<std::int32_t> model_ends_;  // of the model's config alone
};

}  // namespace aira
