#include "base/utf8.h"

#include <utf8proc.h>

namespace aira {

Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {Utf8Kind::kLetter, 1, first};
  if (first < 0xC2 || first > 0xF4) return {Utf8Kind::kBroken, 1, 0};
  const int following = 1 + static_cast<int>(first >= 0xE0) + static_cast<int>(first >= 0xF0);
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (first == 0xE0) low = 0xA0;   // no overlong forms
  if (first == 0xED) high = 0x9F;  // no surrogates
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;  // nothing above U+10FFFF
  char32_t code = first & (0x3FU >> following);
  std::uint8_t length = 1;
  for (; length <= following; ++length) {
    if (length == text.size()) return {Utf8Kind::kUnfinished, length, 0};
    if (byte(length) < low || byte(length) > high) return {Utf8Kind::kBroken, length, 0};
    code = code << 6 | (byte(length) & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8Kind::kLetter, length, code};
}

char32_t next_code_point(std::string_view valid, std::size_t& at) {
  const Utf8Step step = utf8_step(valid.substr(at));
  at += step.length;
  return step.code;
}

char32_t previous_code_point(std::string_view valid, std::size_t& at) {
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(valid[at]) & 0xC0U) == 0x80U);
  return utf8_step(valid.substr(at)).code;
}

void append_utf8(char32_t code, std::string& out) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::size_t append_whole_letters(std::string_view bytes, std::string& out) {
  std::size_t done = 0;  // what precedes it is in `out`
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Step step = utf8_step(bytes.substr(at));
    if (step.kind == Utf8Kind::kUnfinished) break;
    if (step.kind == Utf8Kind::kBroken) {
      out.append(bytes.substr(done, at - done)).append(kReplacement);
      done = at + step.length;
    }
    at += step.length;
  }
  out.append(bytes.substr(done, at - done));
  return at;
}

std::string valid_utf8(std::string_view bytes) {
  std::string valid;
  if (append_whole_letters(bytes, valid) < bytes.size()) valid.append(kReplacement);
  return valid;
}

std::size_t end_of_letters(std::string_view valid, std::size_t count) {
  std::size_t at = 0;
  while (count-- > 0 && at < valid.size()) next_code_point(valid, at);
  return at;
}

std::size_t count_letters(std::string_view valid) {
  std::size_t letters = 0;
  for (std::size_t at = 0; at < valid.size(); ++letters) next_code_point(valid, at);
  return letters;
}

}  // namespace aira
