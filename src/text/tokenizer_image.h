// A tokenizer's tables as one stretch of bytes for this program and machine: reading them back is a
// few copies, where taking tokenizer.json apart costs 100,000 look-ups.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer_files.h"

namespace aira {

/// To be raised when a table, a hash function or the order here changes.
inline constexpr int kTokenizerImage = 1;

std::string to_image(const TokenizerParts& parts);

/// What to_image was given; nothing when `image` is damaged.
std::optional<TokenizerParts> from_image(std::string_view image);

}  // namespace aira
