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

/// Merges in the order of their file: pairs of token texts, laid end to end.
struct MergeList {
  struct Entry {
    std::uint32_t begin;
    std::uint32_t left;   // bytes of the first token
    std::uint32_t right;  // bytes of the second
  };
  std::string text;
  std::vector<Entry> entries;

  /// The sum of all texts must stay below 4 GiB.
  void add(std::string_view left, std::string_view right);
};

class Bpe {
 public:
  Bpe() = default;
  /// Throws Error, naming `vocabulary_file` or `merges_file`, when one of the 256 bytes or a
  /// merge's token is not in `vocabulary`.
  Bpe(const Vocabulary& vocabulary, const MergeList& merges, const std::string& vocabulary_file,
      const std::string& merges_file);

  /// Appends the ids of `piece`, which has less than 2^31 bytes.
  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

  /// Calls archive(table) for all that `self`, a Bpe, const or not, is made of (tokenizer_image.h).
  template <typename Self, typename Archive>
  static void each_table(Self& self, Archive& archive) {
    archive(self.byte_ids_);
    archive(self.merged_);
    archive(self.slots_);
    archive(self.shift_);
  }

 private:
  struct Slot {
    std::int32_t left = -1;  // -1: free
    std::int32_t right = -1;
    std::uint32_t rank = 0;
  };

  std::uint32_t rank(std::int32_t left, std::int32_t right) const;
  void insert(std::int32_t left, std::int32_t right, std::uint32_t rank);
  void encode_short(std::string_view piece, std::vector<std::int32_t>& ids) const;
  void encode_long(std::string_view piece, std::vector<std::int32_t>& ids) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<std::int32_t> merged_;  // by rank: the id of the merged token
  std::vector<Slot> slots_;           // open addressing; a power of two, at most half full
  int shift_ = 0;                     // 64 - log2(slots)
};

}  // namespace aira
