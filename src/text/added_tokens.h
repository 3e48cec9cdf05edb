// Tokens that are found in the raw text before any pre-tokenisation (`<|endoftext|>`, ...), with
// the flags and the order of search of `tokenizers`' AddedVocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aira {

struct AddedToken {
  std::string content;
  std::int32_t id = -1;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space behind it along
  bool normalized = false;   // searched after all the others, in what they left
  bool special = false;      // left out by decode(skip_special), never read from plain text
};

/// A part of a text: an added token, or (id < 0) text between them.
struct Segment {
  std::string_view text;
  std::int32_t id = -1;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// Cuts valid UTF-8 into segments, none of them empty text. With `plain`, special tokens are
  /// found and then left as text (`tokenizers` with encode_special_tokens).
  std::vector<Segment> split(std::string_view valid, bool plain) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  /// Finds the leftmost of its tokens, the longest of those.
  class Matcher {
   public:
    void add(std::string_view content, std::size_t index);
    void finish();
    bool empty() const { return entries_.empty(); }
    struct Match {
      std::size_t begin;
      std::size_t end;
      std::size_t index;
    };
    /// False when none begins at `from` or later.
    bool find(std::string_view text, std::size_t from, Match& match) const;

   private:
    struct Entry {
      std::string content;
      std::size_t index;
    };
    /// The longest token that `text` begins with, or null.
    const Entry* longest(std::string_view text) const;

    std::vector<Entry> entries_;  // by content
    bool begins_[256] = {};       // bytes that a token begins with
  };

  void split(const Matcher& matcher, std::string_view text, bool plain,
             std::vector<Segment>& out) const;

  std::vector<AddedToken> tokens_;
  Matcher raw_, normalized_;
};

}  // namespace aira
