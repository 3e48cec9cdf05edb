// Tokens that are found in the raw text before any pre-tokenisation (`<|endoftext|>`, ...), with
// the flags and the order of search of `tokenizers`' AddedVocabulary.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"

namespace aira {

struct AddedToken {
  std::string content;
  std::int32_t id = -1;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space behind it along
  bool normalized = false;   // searched after all the others, in what they left, normalized
  bool special = false;      // left out by decode(skip_special), never read from plain text
};

/// A part of a text: an added token, or (id < 0) text between them.
struct Segment {
  std::string_view text;
  std::int32_t id = -1;
};

class AddedTokens {
 public:
  using Typed = std::span<const std::string_view>;

  /// `normalizer` also acts on the content of tokens that are searched in normalized text.
  explicit AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer& normalizer = {});

  /// Cuts valid UTF-8 into segments, none of them empty text: at the tokens that are searched
  /// before normalization, or at the others. Special tokens of which a part is in one of `typed`
  /// (parts of `text`) are found and then left as text (`tokenizers` with encode_special_tokens).
  std::vector<Segment> split(std::string_view text, bool normalized, Typed typed) const;
  /// Whether `part` and one of `typed`, parts of the same text, overlap.
  static bool touches(Typed typed, std::string_view part);

 private:
  /// Tokens by their first byte, the longest first.
  using Index = std::array<std::vector<AddedToken>, 256>;

  Index raw_, normalized_;
  bool any_raw_ = false, any_normalized_ = false;
};

}  // namespace aira
