// Tokens by id and ids by token. Tokens are kept as files write them: in letters that stand for
// bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aira {

/// GPT-2 writes each of the 256 bytes as one printable letter: printable Latin-1 bytes as
/// themselves, the other 68 as U+0100, U+0101, ... in order. Returns the letters, in UTF-8, that
/// stand for `bytes`.
std::string letters_of(std::string_view bytes);
/// What `token`, valid UTF-8, decodes to. When a letter is outside the alphabet, it stands for
/// itself, as in `tokenizers`' ByteLevel decoder.
std::string bytes_of(std::string_view token);

/// Texts in one string: no allocation for each, and little memory, which takes time to get.
class Texts {
 public:
  std::size_t size() const { return ends_.size(); }
  /// Makes room for what `bytes` of JSON may hold. Memory that is never written to costs nothing.
  void reserve(std::size_t bytes) {
    all_.reserve(bytes);
    ends_.reserve(bytes / 8);
  }
  void add(std::string_view text) {
    all_.append(text);
    ends_.push_back(static_cast<std::uint32_t>(all_.size()));
  }
  /// Texts number `first` to `last`, joined.
  std::string_view join(std::size_t first, std::size_t last) const {
    const std::size_t begin = first == 0 ? 0 : ends_[first - 1];
    return std::string_view(all_).substr(begin, ends_[last] - begin);
  }
  std::string_view operator[](std::size_t i) const { return join(i, i); }
  /// The bytes of the longest.
  std::size_t longest() const {
    std::uint32_t longest = 0, begin = 0;
    for (const std::uint32_t end : ends_)
      longest = std::max(longest, end - std::exchange(begin, end));
    return longest;
  }

 private:
  std::string all_;
  std::vector<std::uint32_t> ends_;
};

/// Tokens in the order of a file, each with the id that the file gives it.
struct TokenList {
  Texts tokens;
  std::vector<std::int64_t> ids;
};

class Vocabulary {
 public:
  Vocabulary() = default;
  /// Ids may be missing. Throws Error, naming `file`, unless the ids are whole numbers from 0 to
  /// 4,194,303, each once, and the tokens differ.
  Vocabulary(TokenList list, const std::string& file);

  /// Adds `token`, which must be new, and returns its id as `tokenizers` gives it: behind the last
  /// one added, the first behind as many as the model has. Where ids are missing that may be an
  /// id of the model's, which then stands for `token`.
  std::int32_t append(std::string_view token);

  /// One more than the highest id.
  std::int32_t size() const { return std::max(places_, first_added_ + added()); }
  bool has(std::int32_t id) const { return id >= 0 && id < size(); }
  /// The token of `id`; empty where there is none.
  std::string_view token(std::int32_t id) const;
  /// The bytes of the longest token, as files write it.
  std::size_t longest() const { return tokens_.longest(); }
  /// The id of `token`, or -1.
  std::int32_t find(std::string_view token) const;
  /// The same among the model's tokens, which append() has not added.
  std::int32_t find_in_model(std::string_view token) const;

 private:
  std::int32_t added() const { return static_cast<std::int32_t>(tokens_.size()) - places_; }
  std::uint32_t mask() const { return static_cast<std::uint32_t>(slots_.size() - 1); }
  std::int32_t place_in(std::uint32_t slot) const {
    return static_cast<std::int32_t>(slot & mask()) - 1;
  }
  /// The index of the slot that holds `token`, or else of the free one where it belongs.
  std::size_t slot_of(std::string_view token, std::size_t hash) const;
  /// False when the same token is there already. Empty ones are not entered.
  bool enter(std::int32_t place);

  Texts tokens_;  // the model's at their ids, "" where there is none; then the added ones
  std::int32_t places_ = 0;       // of the model's tokens
  std::int32_t first_added_ = 0;  // the id of the first added token, equal to places_ unless ids
                                  // are missing
  // A hash table, at most half full. The low bits of a slot (as many as index it) hold the place in
  // tokens_ + 1, the others a part of the hash that is compared before the token; 0: free.
  std::vector<std::uint32_t> slots_{0, 0};
};

}  // namespace aira
