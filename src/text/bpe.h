// Byte-pair encoding of one pre-tokenised piece: always merges the neighbours whose merge stands
// first in the list, the leftmost of equals, until no merge applies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace aira {

/// What becomes of letters that the vocabulary lacks.
struct UnknownLetters {
  std::string token;           // stands for one of them; empty: they are dropped
  bool fuse = false;           // for all that follow each other
  bool byte_fallback = false;  // first tried: tokens <0x00> to <0xFF> for their bytes
};

class Bpe {
 public:
  Bpe() = default;
  /// `merges` holds two tokens for each. Throws Error, naming `file`, when a merge's tokens or what
  /// they make is not in `vocabulary`.
  Bpe(const Vocabulary& vocabulary, const Texts& merges, const std::string& file,
      UnknownLetters unknown = {});

  /// Whether each of the 256 bytes has a token, so that no text is unknown.
  bool has_all_bytes() const;
  /// Appends the ids of `piece`, which is not empty and has at most 2^30 bytes. `vocabulary` is the
  /// one above. Throws Error when the token for unknown letters is needed but missing.
  void encode(const Vocabulary& vocabulary, std::string_view piece,
              std::vector<std::int32_t>& ids) const;

 private:
  /// A merge is found by the token that it makes and the length of its left part: a table of pairs
  /// would take 100,000 look-ups to build, half of the time it takes to load a tokenizer.
  struct Merge {
    std::int32_t token;
    std::uint32_t left;   // bytes of its letters
    std::uint32_t older;  // rank of the merge before this one that makes the same token
  };
  /// A token of a piece, linked to its neighbours.
  struct Symbol {
    std::int32_t id;
    std::uint32_t begin;   // of its letters
    std::uint32_t before;  // index of the neighbour; kNone at the beginning
    std::uint32_t after;   // the last one's is a symbol without letters
    std::uint32_t rank;    // of the merge with `after`
  };
  /// Pairs of the alphabet's letters, the most frequent, have their ranks in a table.
  static constexpr std::size_t kLetters = 0x100 + 68;

  /// Fills `symbols` with the tokens of the letters of `piece`, `rank` being the letter; returns
  /// their number. Where letters are unknown, `replaced` gets the text of the tokens.
  std::uint32_t read_letters(const Vocabulary& vocabulary, std::string_view piece, Symbol* symbols,
                             std::string& replaced) const;
  /// The ids of the bytes of an unknown letter; none when there is one without a token.
  std::vector<std::int32_t> bytes_of_unknown(const Vocabulary& vocabulary,
                                             std::string_view letter) const;

  /// The rank of the merge of the first `left` bytes of `pair`, which is in letters, and the rest;
  /// kNoMerge if there is none.
  std::uint32_t rank(const Vocabulary& vocabulary, std::string_view pair, std::size_t left) const;

  UnknownLetters unknown_;
  std::array<std::int32_t, kLetters> letter_ids_{};
  std::vector<Merge> merges_;              // by rank
  std::vector<std::uint32_t> newest_;      // by token: rank of the last merge that makes it
  std::vector<std::uint32_t> of_letters_;  // [kLetters, kLetters]: ranks
};

}  // namespace aira
