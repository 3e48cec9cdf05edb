// Byte-level BPE as used by GPT-2 and its descendants: text to token ids, identical to Hugging
// Face's `tokenizers`, and ids back to text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aira/model_files.h"

namespace aira {

/// Markers of Aira's prompts: start, question, end, answer, completion end.
inline constexpr const char* kStartMarker = "<|startofinstruction|>";
inline constexpr const char* kEndMarker = "<|endofinstruction|>";
inline constexpr const char* kCompletionEnd = "<|endofcompletion|>";

class Tokenizer {
 public:
  /// What to do with added tokens (`<|endoftext|>`, ...) that appear in a text.
  enum class Added : std::uint8_t {
    kRecognise,  // encode them as `tokenizers` does with add_special_tokens=False
    kPlainText,  // encode special ones as plain text: what a user types is never a marker
  };
  /// A part of a text: what belongs to a prompt's form, or what somebody typed.
  struct Part {
    std::string text;
    bool typed;
  };
  /// Special ids by role, where tokenizer_config.json or special_tokens_map.json gives them.
  struct Roles {
    std::optional<std::int32_t> bos, sep, eos, pad, unk;
  };

  /// Reads tokenizer.json, else vocab.json + merges.txt, with tokenizer_config.json,
  /// special_tokens_map.json, added_tokens.json and chat_template.jinja beside them, as the class
  /// of transformers does that tokenizer_config.json names, or else config.json.
  /// Throws Error.
  static Tokenizer load(const ModelFiles& files);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// The token ids of `text`, which may be any bytes: invalid UTF-8 is replaced by U+FFFD first.
  std::vector<std::int32_t> encode(std::string_view text, Added added) const;
  /// The ids of the parts as one text. A special token is recognised where nothing typed is in it.
  std::vector<std::int32_t> encode(std::span<const Part> parts) const;
  /// The same between the ids that the tokenizer's own template puts around a text (a begin token,
  /// ...): with kRecognise what transformers' `tokenizer(text)` gives.
  std::vector<std::int32_t> encode_with_template(std::string_view text, Added added) const;
  std::vector<std::int32_t> encode_with_template(std::span<const Part> parts) const;
  /// The fewest ids that a text of so many bytes can have, as far as that is known: 0 where the
  /// tokenizer may drop parts of a text.
  std::int64_t fewest_tokens(std::size_t bytes) const;
  /// The text of `ids`, with invalid UTF-8 replaced by U+FFFD. Ids outside the vocabulary are
  /// skipped, special tokens if asked for.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// The bytes that `id` decodes to; empty for an id outside the vocabulary. They begin with the
  /// space between tokens where the tokenizer has no decoder.
  std::string bytes(std::int32_t id) const;
  /// Whether `id` is flagged as special, has a role, or is one of the markers above.
  bool is_special(std::int32_t id) const;
  /// The id of the token that the vocabulary writes as `content`, if any.
  std::optional<std::int32_t> find(std::string_view content) const;
  const Roles& roles() const;
  /// The Jinja source of the model's chat template: chat_template.jinja, else "chat_template" of
  /// tokenizer_config.json. Empty when there is none.
  const std::string& chat_template() const;
  /// One more than the highest id.
  std::int64_t size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Decodes a stream of bytes: holds back an incomplete UTF-8 sequence until the rest arrives, and
/// replaces invalid ones by U+FFFD (one per maximal subpart, as Unicode recommends).
class Utf8Stream {
 public:
  /// The text completed by `bytes`; may be empty.
  std::string push(std::string_view bytes);
  /// Ends the stream: U+FFFD if an incomplete sequence was held back, else nothing.
  std::string finish();

 private:
  std::string held_;  // at most 3 bytes
};

}  // namespace aira
