// From text to the pieces that BPE works on, in letters: the pre-tokenizers of `tokenizers`, one
// inside the other. GPT-2's own is done by hand:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Every code point falls into exactly one of \s, \p{L}, \p{N} and the rest, so the pieces cover the
// text without a gap and each is found in one forward scan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/pattern.h"

namespace aira {

/// The length of the piece of GPT-2's that `valid`, UTF-8 and not empty, begins with.
std::size_t piece_length(std::string_view valid);

class PreTokenizer {
 public:
  /// GPT-2's.
  explicit PreTokenizer(bool add_prefix_space) : steps_{ByteLevel{add_prefix_space, true}} {}
  /// `components` as in a tokenizer.json, without "Sequence". Throws Error that begins with `where`
  /// and names what is not supported.
  PreTokenizer(const std::vector<const nlohmann::json*>& components, const std::string& where);

  /// Whether every byte of a text is in a piece.
  bool keeps_all() const;
  /// Calls `visit` for each piece of `valid` UTF-8 in order; no piece is empty. Its letters stand
  /// for bytes, unless the tokenizer is not byte-level.
  using Visit = std::function<void(std::string_view letters)>;
  void split(std::string_view valid, const Visit& visit) const { split(0, valid, visit); }

 private:
  struct ByteLevel {
    bool add_prefix_space, use_regex;
  };
  enum class Matches : std::uint8_t {
    kIsolated,
    kRemoved,
    kContiguous,
    kMergedWithPrevious,
    kMergedWithNext,
  };
  struct Split {
    Pattern pattern;
    Matches matches;
    bool invert;
  };
  using Step = std::variant<ByteLevel, Split>;

  static Step make_step(const nlohmann::json& settings, const std::string& where);
  void split(std::size_t step, std::string_view text, const Visit& visit) const;
  static std::vector<std::string_view> cut(const Split& split, std::string_view text);

  std::vector<Step> steps_;
};

}  // namespace aira
