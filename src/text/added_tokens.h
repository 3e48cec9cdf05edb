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

/// Finds tokens in a text, in time that grows with the text alone: an Aho-Corasick automaton of the
/// tokens written backwards, which reads the text from its end.
class TokenFinder {
 public:
  struct Found {
    std::size_t begin;
    const AddedToken* token;
  };

  TokenFinder();
  /// Of tokens with the same content the first counts.
  void add(AddedToken token);
  /// To be called when all tokens were added.
  void finish();

  bool empty() const { return tokens_.empty(); }
  /// For each place of `text` where tokens begin the longest of them, the last place first.
  std::vector<Found> find(std::string_view text) const;

 private:
  static constexpr std::uint32_t kNone = 0;
  struct Node {
    unsigned char byte = 0;
    std::uint32_t child = kNone, sibling = kNone;
    std::uint32_t shorter = kNone;  // the longest other node whose bytes end this one's
    std::uint32_t token = kNone;    // number + 1 of the longest token that ends here
  };
  /// The child of `node` for `byte`, or kNone.
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;
  std::uint32_t next(std::uint32_t node, unsigned char byte) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;                      // the first is the root
  std::array<std::uint32_t, 256> of_root_ = {};  // the root's children
};

class AddedTokens {
 public:
  /// Parts of the text, in its order, none of them empty.
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
  TokenFinder raw_, normalized_;
};

}  // namespace aira
