// UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. The C1 controls
// (U+0080..U+009F) count as control characters, for some terminals obey them.
#include "base/printable.h"

#include <cstddef>

namespace aira {
namespace {

/// Bytes of the well-formed, printable character that `text` starts with; 0 when there is none.
std::size_t printable_character(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const unsigned first = at(0);
  if (first < 0x80U) return first >= 0x20U && first != 0x7FU ? 1 : 0;
  if (first < 0xC2U || first > 0xF4U || !continues(1)) return 0;
  if (first < 0xE0U) return first == 0xC2U && at(1) < 0xA0U ? 0 : 2;
  if (!continues(2)) return 0;
  if (first < 0xF0U) {
    const bool overlong = first == 0xE0U && at(1) < 0xA0U;
    const bool surrogate = first == 0xEDU && at(1) > 0x9FU;
    return overlong || surrogate ? 0 : 3;
  }
  const bool overlong = first == 0xF0U && at(1) < 0x90U;
  const bool too_high = first == 0xF4U && at(1) > 0x8FU;
  return overlong || too_high || !continues(3) ? 0 : 4;
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "...";
    const std::size_t bytes = printable_character(text.substr(i));
    if (bytes > 0) {
      out += text.substr(i, bytes);
      i += bytes;
    } else {
      const auto byte = static_cast<unsigned char>(text[i]);
      out += {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 0xFU]};
      ++i;
    }
  }
  return out;
}

std::string quote(std::string_view text, std::size_t limit) {
  return '"' + printable(text, limit) + '"';
}

}  // namespace aira
