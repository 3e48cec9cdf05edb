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

class Bpe {
 public:
  Bpe() = default;
  /// `merges` holds two tokens for each. Throws Error, naming `vocabulary_file` or `merges_file`,
  /// when one of the 256 bytes, a merge's tokens or what they make is not in `vocabulary`.
  Bpe(const Vocabulary& vocabulary, const Texts& merges, const std::string& vocabulary_file,
      const std::string& merges_file);

  /// Appends the ids of `piece`, which is not empty and has at most 2^29 bytes. `vocabulary` is the
  /// one above.
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

  /// The rank of the merge of the first `left` bytes of `pair`, which is in letters, and the rest;
  /// kNoMerge if there is none.
  std::uint32_t rank(const Vocabulary& vocabulary, std::string_view pair, std::size_t left) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Merge> merges_;            // by rank
  std::vector<std::uint32_t> newest_;    // by token: rank of the last merge that makes it
  std::vector<std::uint32_t> of_bytes_;  // [256, 256]: ranks of pairs of bytes, the most frequent
};

}  // namespace aira
