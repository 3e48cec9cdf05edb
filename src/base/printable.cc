#include "base/printable.h"

#include "base/utf8.h"

namespace aira {

std::string printable(std::string_view text, std::size_t limit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "...";
    const Utf8Step step = utf8_step(text.substr(i));
    // U+0080..U+009F are control characters that some terminals obey.
    const bool control = step.code < 0x20 || (step.code >= 0x7F && step.code < 0xA0);
    if (step.kind == Utf8Kind::kLetter && !control) {
      out += text.substr(i, step.length);
      i += step.length;
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
