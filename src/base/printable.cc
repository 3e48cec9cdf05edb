#include "base/printable.h"

#include "base/utf8.h"

namespace aira {

std::string without_controls(std::string_view valid) {
  std::string out;
  for (std::size_t at = 0; at < valid.size();) {
    const std::size_t begin = at;
    const char32_t code = next_code_point(valid, at);
    if (code == '\r') continue;
    const bool stays = !is_control(code) || code == '\n' || code == '\t';
    out += stays ? valid.substr(begin, at - begin) : kReplacement;
  }
  return out;
}

std::string printable(std::string_view text, std::size_t limit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "...";
    const Utf8Step step = utf8_step(text.substr(i));
    if (step.kind == Utf8Kind::kLetter && !is_control(step.code)) {
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
