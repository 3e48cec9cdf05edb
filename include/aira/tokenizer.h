// Byte-level BPE as GPT-2 and its descendants use it, equal to Hugging Face's `tokenizers` id for
// id, and the way back from ids to text.
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

/// How Aira's models mark a dialogue: start, question, end, answer, completion end.
inline constexpr const char* kStartMarker = "<|startofinstruction|>";
inline constexpr const char* kEndMarker = "<|endofinstruction|>";
inline constexpr const char* kCompletionEnd = "<|endofcompletion|>";

class Tokenizer {
 public:
  /// How added tokens (`<|endoftext|>`, ...) that appear in a text are taken.
  enum class Added : std::uint8_t {
    kRecognise,  // as `tokenizers` does with add_special_tokens=False
    kPlainText,  // as the letters they are written with: what a user typed is never a marker
  };
  /// Special ids by role, from tokenizer_config.json, special_tokens_map.json, as far as given.
  struct Roles {
    std::optional<std::int32_t> bos, sep, eos, pad, unk;
  };

  /// Reads tokenizer.json, else vocab.json + merges.txt + added_tokens.json; roles from
  /// tokenizer_config.json and special_tokens_map.json. Throws Error.
  static Tokenizer load(const ModelFiles& files);
  /// All that load() found, for this program to keep and to read back much faster.
  std::string image() const;
  /// The tokenizer that gave `image`; nothing when the image is damaged.
  static std::optional<Tokenizer> from_image(std::string_view image);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Token ids of any bytes; invalid UTF-8 is taken as `tokenizers` takes the text that results
  /// from replacing it with U+FFFD (its Python binding accepts no other).
  std::vector<std::int32_t> encode(std::string_view text, Added added) const;
  /// The text of `ids`, invalid UTF-8 replaced by U+FFFD. Special tokens are left out on request,
  /// ids outside the vocabulary always.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// The bytes that `id` stands for (an added token's content as it is written); empty for an id
  /// that the vocabulary does not have.
  std::string_view bytes(std::int32_t id) const;
  /// Flagged so, of a role, or one of the dialogue's markers.
  bool is_special(std::int32_t id) const;
  /// The id of the token written exactly `content` (added tokens first), if any.
  std::optional<std::int32_t> find(std::string_view content) const;
  const Roles& roles() const;
  /// One more than the highest id.
  std::int64_t size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Turns the bytes of a growing text into whole letters: holds back an unfinished UTF-8 sequence
/// until it is complete and puts U+FFFD for what can never become a letter (one for each maximal
/// subpart, as Unicode recommends and Python's decoder does).
class Utf8Stream {
 public:
  /// The text that `bytes` completes; possibly empty.
  std::string push(std::string_view bytes);
  /// The end: U+FFFD if an unfinished letter was held back.
  std::string finish();

 private:
  std::string held_;  // at most 3 bytes
};

}  // namespace aira
