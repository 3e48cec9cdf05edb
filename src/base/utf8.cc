#include "base/utf8.h"

#include <cstring>

namespace aira {
namespace {

/// How many bytes follow a lead byte, and the range of the first of them. 0 bytes: no lead byte.
struct Lead {
  int following = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Lead lead(unsigned char byte) {
  if (byte < 0xC2 || byte > 0xF4) return {};
  if (byte < 0xE0) return {1};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};  // no overlong forms
  if (byte == 0xED) return {2, 0x80, 0x9F};  // no surrogates
  if (byte < 0xF0) return {2};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};  // nothing above U+10FFFF
  return {3};
}

/// The number of ASCII bytes that `text` begins with, in steps of 8.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t block = 0;
    std::memcpy(&block, text.data() + at, 8);
    if ((block & 0x8080808080808080U) != 0) break;
  }
  return at;
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {Utf8Kind::kLetter, 1, byte(0)};
  const Lead first = lead(byte(0));
  if (first.following == 0) return {Utf8Kind::kBroken, 1, 0};
  char32_t code = byte(0) & (0x3FU >> first.following);
  std::uint8_t length = 1;
  for (; length <= first.following; ++length) {
    if (length == text.size()) return {Utf8Kind::kUnfinished, length, 0};
    const unsigned char low = length == 1 ? first.low : 0x80;
    const unsigned char high = length == 1 ? first.high : 0xBF;
    if (byte(length) < low || byte(length) > high) return {Utf8Kind::kBroken, length, 0};
    code = code << 6 | (byte(length) & 0x3FU);
  }
  return {Utf8Kind::kLetter, length, code};
}

char32_t next_code_point(std::string_view valid, std::size_t& at) {
  const Utf8Step step = utf8_step(valid.substr(at));
  at += step.length;
  return step.code;
}

char32_t code_point_before(std::string_view valid, std::size_t at) {
  std::size_t begin = at - 1;
  while (begin > 0 && (static_cast<unsigned char>(valid[begin]) & 0xC0U) == 0x80U) --begin;
  return next_code_point(valid, begin);
}

void append_utf8(char32_t code, std::string& out) {
  const auto byte = [&](char32_t value) { out.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
    return;
  }
  if (code < 0x800) {
    byte(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      byte(0xE0 | code >> 12);
    } else {
      byte(0xF0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3F));
    }
    byte(0x80 | (code >> 6 & 0x3F));
  }
  byte(0x80 | (code & 0x3F));
}

std::size_t append_whole_letters(std::string_view bytes, std::string& out) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    if (const std::size_t ascii = ascii_prefix(rest); ascii > 0) {
      out.append(rest.substr(0, ascii));
      at += ascii;
      continue;
    }
    const Utf8Step step = utf8_step(rest);
    if (step.kind == Utf8Kind::kUnfinished) break;
    out.append(step.kind == Utf8Kind::kLetter ? rest.substr(0, step.length) : kReplacement);
    at += step.length;
  }
  return at;
}

std::string_view valid_utf8(std::string_view bytes, std::string& storage) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    at += ascii_prefix(bytes.substr(at));
    if (at == bytes.size()) break;
    const Utf8Step step = utf8_step(bytes.substr(at));
    if (step.kind != Utf8Kind::kLetter) break;
    at += step.length;
  }
  if (at == bytes.size()) return bytes;
  storage.assign(bytes.substr(0, at));
  const std::size_t taken = append_whole_letters(bytes.substr(at), storage);
  if (at + taken < bytes.size()) storage.append(kReplacement);
  return storage;
}

}  // namespace aira
