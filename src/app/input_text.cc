#include "app/input_text.h"

#include <utility>

#include "base/utf8.h"

namespace aira {

/// False when more bytes are needed to tell.
bool InputText::recognize(std::string_view bytes, bool last) {
  if (bytes.starts_with("\xFF\xFE")) {
    format_ = Format::kUtf16Le;
  } else if (bytes.starts_with("\xFE\xFF")) {
    format_ = Format::kUtf16Be;
  } else if (!last && (bytes.empty() || bytes == "\xFF" || bytes == "\xFE")) {
    return false;
  } else {
    format_ = Format::kUtf8;
  }
  return true;
}

void InputText::convert(std::string& text, std::size_t from, bool last) {
  if (format_ == Format::kUtf8) return;
  std::string bytes = std::exchange(held_, {}) + text.substr(from);
  text.resize(from);
  const bool known = format_ != Format::kUnknown;
  if (!known && !recognize(bytes, last)) {
    held_ = std::move(bytes);
    return;
  }
  if (!is_utf16()) {
    text += bytes;
    return;
  }
  const auto unit = [&](std::size_t at) {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const auto second = static_cast<unsigned char>(bytes[at + 1]);
    const int low = format_ == Format::kUtf16Le ? first : second;
    const int high = format_ == Format::kUtf16Le ? second : first;
    return static_cast<char32_t>(high << 8 | low);
  };
  const auto is_high = [](char32_t code) { return code >= 0xD800 && code < 0xDC00; };
  const auto is_low = [](char32_t code) { return code >= 0xDC00 && code < 0xE000; };
  std::size_t at = known ? 0 : 2;
  for (; at + 1 < bytes.size(); at += 2) {
    char32_t code = unit(at);
    if (is_high(code)) {
      if (at + 3 >= bytes.size() && !last) break;
      if (at + 3 < bytes.size() && is_low(unit(at + 2))) {
        code = 0x10000 + ((code - 0xD800) << 10) + (unit(at + 2) - 0xDC00);
        at += 2;
      }
    }
    is_high(code) || is_low(code) ? text.push_back('\xFF') : append_utf8(code, text);
  }
  held_ = bytes.substr(at);
  if (last && !held_.empty()) text.push_back('\xFF');
}

std::size_t find_no_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte == 0) return at;
    if (byte < 0x80) {
      ++at;
      continue;
    }
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.kind != Utf8Kind::kLetter) return at;
    at += step.length;
  }
  return std::string_view::npos;
}

}  // namespace aira
