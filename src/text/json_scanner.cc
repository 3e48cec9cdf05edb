#include "text/json_scanner.h"

#include <algorithm>
#include <charconv>

#include "aira/error.h"
#include "text/utf8.h"

namespace aira {
namespace {

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

}  // namespace

void JsonScanner::fail() const {
  const std::string_view before = text_.substr(0, at_);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = lines == 0 ? 0 : before.rfind('\n') + 1;
  throw Error(where_ + " is not valid JSON of its kind (line " + std::to_string(lines + 1) +
              ", byte " + std::to_string(at_ - line_start + 1) + ").");
}

void JsonScanner::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
    ++at_;
  }
}

char JsonScanner::peek() {
  skip_space();
  if (at_ == text_.size()) fail();
  return text_[at_];
}

void JsonScanner::expect(char wanted) {
  if (peek() != wanted) fail();
  ++at_;
}

bool JsonScanner::open(char opening, char closing) {
  expect(opening);
  if (peek() != closing) return true;
  ++at_;
  return false;
}

bool JsonScanner::another(char closing) {
  const char next = peek();
  if (next != ',' && next != closing) fail();
  ++at_;
  return next == ',';
}

void JsonScanner::finish() {
  skip_space();
  if (at_ != text_.size()) fail();
}

std::string_view JsonScanner::string() {
  expect('"');
  const std::size_t begin = at_;
  bool ascii = true;
  for (; at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\'; ++at_) {
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte < 0x20) fail();
    ascii = ascii && byte < 0x80;
  }
  if (at_ == text_.size()) fail();
  std::string_view value = text_.substr(begin, at_ - begin);
  if (text_[at_] == '\\') {
    storage_ = value;
    unescape();
    value = storage_;
    ascii = false;
  }
  ++at_;
  if (!ascii) {
    std::string replaced;
    if (valid_utf8(value, replaced).data() != value.data()) {
      throw Error(where_ + " is not valid UTF-8 (byte " + std::to_string(begin + 1) +
                  " and following).");
    }
  }
  return value;
}

/// Appends the rest of a string, up to its closing quote, to storage_.
void JsonScanner::unescape() {
  while (at_ < text_.size() && text_[at_] != '"') {
    const char byte = text_[at_];
    if (static_cast<unsigned char>(byte) < 0x20) fail();
    ++at_;
    if (byte != '\\') {
      storage_.push_back(byte);
      continue;
    }
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) fail();
    if (const std::size_t which = kEscapes.find(text_[at_]); which != std::string_view::npos) {
      storage_.push_back(kMeanings[which]);
      ++at_;
      continue;
    }
    if (text_[at_] != 'u') fail();
    ++at_;
    char32_t code = hex4();
    if (code >= 0xDC00 && code < 0xE000) fail();
    if (code >= 0xD800 && code < 0xDC00) {
      if (text_.substr(at_, 2) != "\\u") fail();
      at_ += 2;
      const char32_t low = hex4();
      if (low < 0xDC00 || low >= 0xE000) fail();
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, storage_);
  }
  if (at_ == text_.size()) fail();
}

char32_t JsonScanner::hex4() {
  const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
  std::uint16_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 4 || error != std::errc() || end != digits.data() + 4) fail();
  at_ += 4;
  return value;
}

std::optional<std::int64_t> JsonScanner::integer() {
  const std::string_view text = skip();
  const std::string_view digits = text.substr(text.front() == '-' ? 1 : 0);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return value;
}

void JsonScanner::skip_string() {
  for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
    if (text_[at_] == '\\') ++at_;
  }
  if (at_ >= text_.size()) {
    at_ = text_.size();
    fail();
  }
  ++at_;
}

std::string_view JsonScanner::skip() {
  const char first = peek();
  const std::size_t begin = at_;
  if (first == '"') {
    skip_string();
  } else if (first == '{' || first == '[') {
    std::size_t depth = 0;
    do {
      if (at_ == text_.size()) fail();
      const char byte = text_[at_];
      if (byte == '"') {
        skip_string();
        continue;
      }
      if (byte == '{' || byte == '[') ++depth;
      if (byte == '}' || byte == ']') --depth;
      ++at_;
    } while (depth > 0);
  } else {
    at_ = std::min(text_.find_first_of(",]} \n\r\t", at_), text_.size());
    if (at_ == begin) fail();
  }
  return text_.substr(begin, at_ - begin);
}

}  // namespace aira
