// Untrusted text (names from files and command lines) made fit for an error sentence: one line,
// valid UTF-8, no terminal control sequences, not too long.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace aira {

/// Whether a terminal may obey this code point. U+0080 to U+009F are control characters too.
constexpr bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

/// Valid UTF-8 as a terminal may be sent it: line breaks and tabs stay, carriage returns go, each
/// other control character becomes U+FFFD.
std::string without_controls(std::string_view valid);

/// `text` with control characters and bytes that are not valid UTF-8 written as \xNN,
/// cut with "..." after about `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 4096);

/// The same between double quotes, for names and values out of a file.
std::string quote(std::string_view text, std::size_t limit = 120);

}  // namespace aira
