// GPT-2's pre-tokenisation, by hand:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Every code point falls into exactly one of \s, \p{L}, \p{N} and the rest, so the pieces cover the
// text without a gap and each is found in one forward scan.
#pragma once

#include <cstddef>
#include <string_view>

namespace aira {

/// The end of the piece that begins at `at` (< size) of valid UTF-8.
std::size_t piece_end(std::string_view valid, std::size_t at);

}  // namespace aira
