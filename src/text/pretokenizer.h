// GPT-2's pre-tokenisation, by hand:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Every code point falls into exactly one of \s, \p{L}, \p{N} and the rest, so the pieces cover the
// text without a gap and each is found in one forward scan.
#pragma once

#include <cstddef>
#include <string_view>

namespace aira {

/// The length of the piece that `valid`, UTF-8 and not empty, begins with.
std::size_t piece_length(std::string_view valid);

}  // namespace aira
