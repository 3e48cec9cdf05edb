// Tokens by id and ids by token, in a handful of flat arrays: a vocabulary of 50,000 tokens takes
// no allocation per token and is built in a few milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aira {

/// Tokens in the order of a file, each with the id that it says.
struct TokenList {
  struct Entry {
    std::uint32_t begin;
    std::uint32_t length;
    std::int64_t id;
  };
  std::string text;
  std::vector<Entry> entries;

  std::string_view token(const Entry& entry) const {
    return std::string_view(text).substr(entry.begin, entry.length);
  }
  /// The sum of all tokens must stay below 4 GiB.
  void add(std::string_view token, std::int64_t id);
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
  /// As files write it: in the byte alphabet, or an added token's content.
  std::string_view token(std::int32_t id) const { return view(text_, spans_, id); }
  /// What decoding makes of it.
  std::string_view bytes(std::int32_t id) const { return view(bytes_, byte_spans_, id); }
  /// The id of `token`, -1 when there is none.
  std::int32_t find(std::string_view token) const;

  /// Calls archive(table) for all that `self`, a Vocabulary, const or not, is made of
  /// (tokenizer_image.h).
  template <typename Self, typename Archive>
  static void each_table(Self& self, Archive& archive) {
    archive(self.text_);
    archive(self.spans_);
    archive(self.bytes_);
    archive(self.byte_spans_);
    archive(self.slots_);
  }

 private:
  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t length = 0;
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t id = -1;  // -1: free
  };

  static std::string_view view(const std::string& text, const std::vector<Span>& spans,
                               std::int32_t id) {
    const Span span = spans[static_cast<std::size_t>(id)];
    return std::string_view(text).substr(span.begin, span.length);
  }
  /// False when the same token is there already.
  bool insert(std::int32_t id);
  void add_bytes(std::int32_t id);
  void grow_slots(std::size_t tokens);

  std::string text_, bytes_;
  std::vector<Span> spans_, byte_spans_;  // by id
  std::vector<Slot> slots_;               // open addressing; a power of two, at most half full
};

}  // namespace aira
