// Untrusted text (names from files and command lines) made fit for an error sentence: one line,
// valid UTF-8, no terminal control sequences, not too long.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace aira {

/// `text` with control characters and bytes that are not valid UTF-8 written as \xNN,
/// cut with "..." after about `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 4096);

/// The same between double quotes, for names and values out of a file.
std::string quote(std::string_view text, std::size_t limit = 120);

}  // namespace aira
