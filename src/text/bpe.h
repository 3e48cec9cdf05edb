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

/// Merges in the order of their file, each as the bytes of its two tokens.
class MergeList {
 public:
  struct Entry {
    std::uint32_t begin;       // in bytes_
    std::uint32_t left;        // bytes of the first token
    std::uint32_t right : 31;  // bytes of the second
    std::uint32_t raw : 1;     // some letter is outside the byte alphabet: both are kept as written
  };

  /// All of them together must stay below 2 GiB.
  void add(std::string_view left, std::string_view right);
  /// Takes address space, which costs nothing, for the merges of a file of `size` bytes.
  void reserve(std::size_t size) {
    bytes_.reserve(size);
    entries_.reserve(size / 8);
  }
  std::string_view bytes(const Entry& entry) const {
    return {bytes_.data() + entry.begin, entry.left + entry.right};
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::string bytes_;  // grows ahead of the entries
  std::vector<Entry> entries_;
};

class Bpe {
 public:
  Bpe() = default;
  /// Throws Error, naming `vocabulary_file` or `merges_file`, when one of the 256 bytes, a merge's
  /// tokens or what they make is not in `vocabulary`.
  Bpe(const Vocabulary& vocabulary, const MergeList& merges, const std::string& vocabulary_file,
      const std::string& merges_file);

  /// Appends the ids of `piece`, which has less than 2^29 bytes. `vocabulary` is the one above.
  void encode(const Vocabulary& vocabulary, std::string_view piece,
              std::vector<std::int32_t>& ids) const;

 private:
  /// A merge is found by the token that it makes and the length of its left part: a table of pairs
  /// would take 100,000 look-ups to build, half of the time it takes to load a tokenizer.
  struct Merge {
    std::int32_t token;
    std::uint32_t left;   // bytes
    std::uint32_t older;  // rank of the merge before this one that makes the same token
  };

  /// The rank of the merge that joins `pair` behind its first `left` bytes, or kNoMerge.
  std::uint32_t rank(const Vocabulary& vocabulary, std::string_view pair, std::size_t left) const;
  void encode_short(const Vocabulary& vocabulary, std::string_view piece,
                    std::vector<std::int32_t>& ids) const;
  void encode_long(const Vocabulary& vocabulary, std::string_view piece,
                   std::vector<std::int32_t>& ids) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Merge> merges_;            // by rank
  std::vector<std::uint32_t> newest_;    // by token: rank of the last merge that makes it
  std::vector<std::uint32_t> of_bytes_;  // [256, 256]: ranks of pairs of bytes, the most frequent
};

}  // namespace aira
