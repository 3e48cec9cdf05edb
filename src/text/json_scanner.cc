#include "text/json_scanner.h"

#include <algorithm>
#include <charconv>

#include "aira/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace aira {
void JsonScanner::fail() const {
  throw Error(where_ + " is not valid JSON of its kind (" + position_in(text_, at_) + ").");
}

void JsonScanner::finish() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  if (at_ != text_.size()) fail();
}

std::size_t JsonScanner::end_of_letter(std::size_t at) {
  at_ = at;
  if (at == text_.size() || static_cast<unsigned char>(text_[at]) < 0x80) fail();
  const Utf8Step step = utf8_step(text_.substr(at));
  if (step.kind == Utf8Kind::kLetter) return at + step.length;
  throw Error(where_ + " is not valid UTF-8 (" + position_in(text_, at) + ").");
}

std::string_view JsonScanner::escaped_string(std::string_view begin) {
  storage_ = begin;
  while (text_[at_] == '\\') {
    unescape();
    storage_ += plain_letters();
  }
  ++at_;
  return storage_;
}

void JsonScanner::unescape() {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (++at_ == text_.size()) fail();
  if (const std::size_t which = kEscapes.find(text_[at_]); which != std::string_view::npos) {
    storage_.push_back(kMeanings[which]);
    ++at_;
    return;
  }
  char32_t code = hex4();
  if (code >= 0xD800 && code < 0xDC00) {
    if (at_ == text_.size() || text_[at_++] != '\\') fail();
    const char32_t low = hex4();
    if (low < 0xDC00 || low >= 0xE000) fail();
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    fail();
  }
  append_utf8(code, storage_);
}

/// Takes "u" and four hexadecimal digits.
char32_t JsonScanner::hex4() {
  const std::string_view digits = text_.substr(std::min(at_ + 1, text_.size()), 4);
  std::uint16_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (text_.substr(at_, 1) != "u" || digits.size() != 4 || error != std::errc() ||
      end != digits.data() + 4) {
    fail();
  }
  at_ += 5;
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
    const auto ends = [](char byte) {
      return byte == ',' || byte == ']' || byte == '}' || is_space(byte);
    };
    while (at_ < text_.size() && !ends(text_[at_])) ++at_;
    if (at_ == begin) fail();
  }
  return text_.substr(begin, at_ - begin);
}

}  // namespace aira
