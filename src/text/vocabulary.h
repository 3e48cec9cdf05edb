// Tokens by id and ids by token, in a few flat arrays: building a vocabulary of 50,000 tokens takes
// no allocation per token. Tokens are kept as the bytes that they stand for; the letters that files
// write them with occur at the borders only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aira {

/// GPT-2 writes each of the 256 bytes as one printable letter: printable Latin-1 bytes as
/// themselves, the other 68 as U+0100, U+0101, ... in order. Vocabulary files use this alphabet.
/// Returns the letter, in UTF-8, that stands for `byte`.
std::string_view letter_of_byte(unsigned char byte);
/// The letters of `bytes`: a token as files write it.
std::string letters_of(std::string_view bytes);

/// The bytes that a token stands for. When a letter is outside the alphabet, it stands for itself
/// (it is `raw`), as in `tokenizers`' ByteLevel decoder.
struct TokenBytes {
  std::size_t size;
  bool raw;
};

/// Writes the bytes of `token` to `out`, which must have room for token.size().
TokenBytes token_bytes(std::string_view token, char* out);

/// A hash table of indexes into a list that the caller keeps: open addressing, 4 bytes per slot, at
/// most half full.
class IndexTable {
 public:
  /// The index stored under `hash` for which same(index) holds, or -1.
  template <typename Same>
  std::int32_t find(std::uint64_t hash, Same same) const {
    return index_in(slots_[slot_of(hash, same)]);
  }
  /// Stores `index`; returns the equal one that it replaces, or -1. Call reserve() first.
  template <typename Same>
  std::int32_t insert(std::uint64_t hash, std::int32_t index, Same same) {
    std::uint32_t& slot = slots_[slot_of(hash, same)];
    const std::int32_t replaced = index_in(slot);
    slot = tag_of(hash) | static_cast<std::uint32_t>(index + 1);
    return replaced;
  }
  /// Makes room for indexes below `count`; hash_of(index) must be the hash it was stored under.
  template <typename HashOf>
  void reserve(std::size_t count, HashOf hash_of) {
    if (2 * count <= slots_.size()) return;
    IndexTable larger;
    while ((std::size_t{1} << (64 - larger.shift_)) < 2 * count) --larger.shift_;
    larger.slots_.assign(std::size_t{1} << (64 - larger.shift_), 0);
    for (const std::uint32_t slot : slots_) {
      const std::int32_t index = index_in(slot);
      if (index >= 0) larger.insert(hash_of(index), index, [](std::int32_t) { return false; });
    }
    *this = std::move(larger);
  }

 private:
  std::uint32_t mask() const { return static_cast<std::uint32_t>(slots_.size() - 1); }
  std::uint32_t tag_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash) & ~mask();
  }
  std::int32_t index_in(std::uint32_t slot) const {
    return static_cast<std::int32_t>(slot & mask()) - 1;
  }
  template <typename Same>
  std::size_t slot_of(std::uint64_t hash, Same same) const {
    for (std::size_t at = hash >> shift_;; at = (at + 1) & mask()) {
      const std::uint32_t slot = slots_[at];
      if (slot == 0) return at;
      if ((slot & ~mask()) == tag_of(hash) && same(index_in(slot))) return at;
    }
  }

  // The low bits of a slot hold index + 1, the others a part of the hash; 0: free.
  std::vector<std::uint32_t> slots_ = {0, 0};
  int shift_ = 63;  // 64 - log2(slots)
};

/// Where the bytes of a token begin in a text, how many they are, and whether it is raw.
struct TokenSpan {
  std::uint32_t begin;
  std::uint32_t length : 31;
  std::uint32_t raw : 1;
};

/// Tokens in the order of a file, each with the id that the file gives it.
struct TokenList {
  std::string bytes;  // below 2 GiB; grows ahead of the tokens
  std::vector<TokenSpan> spans;
  std::vector<std::int64_t> ids;

  void add(std::string_view token, std::int64_t id);
  /// Takes address space, which costs nothing, for the tokens of a file of `size` bytes.
  void reserve(std::size_t size);
};

class Vocabulary {
 public:
  Vocabulary() = default;
  /// Throws Error, naming `file`, unless the ids are 0, 1, 2, ..., each once, and the tokens
  /// differ.
  Vocabulary(TokenList list, const std::string& file);

  /// Appends `token`, which must be new, and returns its id.
  std::int32_t append(std::string_view token);

  std::int32_t size() const { return static_cast<std::int32_t>(spans_.size()); }
  bool has(std::int32_t id) const { return id >= 0 && id < size(); }
  /// What the token decodes to.
  std::string_view bytes(std::int32_t id) const {
    return bytes_of(spans_[static_cast<std::size_t>(id)]);
  }
  /// The id of the token that files write as `token`, or -1.
  std::int32_t find(std::string_view token) const;
  /// The id of the token, raw or not, that stands for `bytes`, or -1.
  std::int32_t find_bytes(std::string_view bytes, bool raw) const;

 private:
  std::string_view bytes_of(TokenSpan span) const {
    return {bytes_.data() + span.begin, span.length};
  }
  /// False when the same token is there already.
  bool enter(std::int32_t id);

  std::string bytes_;
  std::vector<TokenSpan> spans_;  // by id
  IndexTable ids_;                // by bytes and raw
};

}  // namespace aira
