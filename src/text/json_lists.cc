// The two lists that a tokenizer's JSON consists of, 50,000 tokens and as many merges: parse_json
// would take longer than the rest of start-up to build trees of them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/tokenizer_files.h"

namespace aira {
namespace {

/// ASCII bytes that stand for themselves inside a string.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

class Reader {
 public:
  Reader(std::string_view text, std::size_t at, const std::string& where)
      : text_(text), at_(at), where_(where) {}

  std::size_t at() const { return at_; }

  /// Moves to the next letter that is not white space.
  char peek() {
    const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    // Copies of members, here and below: the compiler takes any byte of the text for a part of
    // them.
    const std::string_view text = text_;
    std::size_t at = at_;
    if (at < text.size() && text[at] == '\n') {  // an indented line
      for (++at; text.size() - at >= 8 && std::memcmp(&text[at], "        ", 8) == 0;) at += 8;
    }
    while (at < text.size() && text[at] <= ' ' && is_space(text[at])) ++at;
    at_ = at;
    if (at == text.size()) fail();
    return text[at];
  }
  void expect(char wanted) {
    if (peek() != wanted) fail();
    ++at_;
  }
  /// Calls visit() for each element, which must take it, up to the bracket `closing`.
  template <typename Visit>
  void elements(char closing, Visit visit) {
    if (peek() == closing) return;
    for (visit(); peek() != closing; visit()) expect(',');
  }
  /// The string that is next, valid until the next one is read.
  std::string_view string();
  /// The whole number that is next; nothing when it is something else.
  std::optional<std::int64_t> integer();

 private:
  [[noreturn]] void fail() const {
    throw Error("[E374] {} is not valid JSON of its kind ({}).", {where_, position_in(text_, at_)});
  }
  std::size_t plain_end() const;
  std::size_t end_of_letter(std::size_t at);
  void unescape();
  char32_t hex4();

  std::string_view text_;
  std::size_t at_;
  const std::string& where_;
  std::string string_;
};

std::string_view Reader::string() {
  expect('"');
  if (const std::size_t end = plain_end(); end < text_.size() && text_[end] == '"') {
    const std::size_t begin = std::exchange(at_, end + 1);
    return text_.substr(begin, end - begin);
  }
  for (string_.clear();; unescape()) {
    const std::string_view text = text_;
    std::size_t at = at_;
    for (;; at = end_of_letter(at)) {
      while (at < text.size() && kPlain[static_cast<unsigned char>(text[at])]) ++at;
      if (at < text.size() && (text[at] == '"' || text[at] == '\\')) break;
    }
    string_.append(text.substr(at_, at - at_));
    at_ = at + 1;
    if (text[at] == '"') return string_;
  }
}

/// Behind the letters of one or two bytes that stand for themselves, which most tokens consist of.
std::size_t Reader::plain_end() const {
  const std::string_view text = text_;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t at = at_;;) {
    if (at < text.size() && kPlain[byte(at)]) {
      ++at;
    } else if (at + 1 < text.size() && byte(at) >= 0xC2 && byte(at) < 0xE0 &&
               (byte(at + 1) & 0xC0U) == 0x80U) {
      at += 2;
    } else {
      return at;
    }
  }
}

/// The end of the letter beyond ASCII that there must be at `at`.
std::size_t Reader::end_of_letter(std::size_t at) {
  if (at == text_.size() || static_cast<unsigned char>(text_[at]) < 0x80) {
    at_ = at;
    fail();
  }
  const Utf8Step step = utf8_step(text_.substr(at));
  if (step.kind == Utf8Kind::kLetter) return at + step.length;
  throw Error("[E304] {} is not valid UTF-8 ({}).", {where_, position_in(text_, at)});
}

/// Appends to string_ what the escape means whose backslash was taken.
void Reader::unescape() {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) fail();
  if (const std::size_t which = kEscapes.find(text_[at_]); which != std::string_view::npos) {
    string_.push_back(kMeanings[which]);
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
  append_utf8(code, string_);
}

/// Takes "u" and four hexadecimal digits.
char32_t Reader::hex4() {
  const std::string_view digits = text_.substr(std::min(at_ + 1, text_.size()), 4);
  std::uint16_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 4 || end != digits.data() + 4 || error != std::errc() || text_[at_] != 'u') {
    fail();
  }
  at_ += 5;
  return value;
}

std::optional<std::int64_t> Reader::integer() {
  peek();
  const std::string_view text = text_.substr(at_);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto length = static_cast<std::size_t>(end - text.data());
  // from_chars takes leading zeros, which JSON does not have, and stops where a fraction begins.
  const bool zeros = (text[0] == '0' && length > 1) || text.starts_with("-0");
  const bool fraction = length < text.size() && std::string_view(".eE").find(text[length]) < 3;
  if (error != std::errc() || zeros || fraction) return std::nullopt;
  at_ += length;
  return value;
}

}  // namespace

bool add_merge(std::string_view line, Texts& merges) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return false;
  }
  merges.add(line.substr(0, space));
  merges.add(line.substr(space + 1));
  return true;
}

TokenList read_tokens(std::string_view text, std::size_t& at, const std::string& where) {
  TokenList list;
  list.tokens.reserve(text.size() - at);
  Reader reader(text, at, where);
  reader.elements('}', [&] {
    const std::string_view token = reader.string();
    reader.expect(':');
    const auto id = reader.integer();
    if (!id) {
      throw Error("[E375] {}: the id of token {} is not a whole number.", {where, quote(token)});
    }
    list.tokens.add(token);
    list.ids.push_back(*id);
  });
  at = reader.at();
  return list;
}

Texts read_merges(std::string_view text, std::size_t& at, const std::string& where) {
  Texts merges;
  merges.reserve(text.size() - at);
  std::size_t number = 0;
  Reader reader(text, at, where);
  const auto refuse = [&] {
    throw Error("[E376] {}: merge {} is not a pair of strings.", {where, std::to_string(number)});
  };
  reader.elements(']', [&] {
    number = merges.size() / 2 + 1;
    const char next = reader.peek();
    if (next == '"') {
      const std::string_view line = reader.string();
      if (!line.starts_with("#version") && !add_merge(line, merges)) {
        throw Error("[E377] {}: merge {} is {}; expected two tokens with one space between.",
                    {where, std::to_string(number), quote(line)});
      }
      return;
    }
    if (next != '[') {
      throw Error("[E378] {}: merge {} is neither a string nor a pair of strings.",
                  {where, std::to_string(number)});
    }
    reader.expect('[');
    std::size_t count = 0;
    reader.elements(']', [&] {
      if (++count > 2 || reader.peek() != '"') refuse();
      merges.add(reader.string());
    });
    reader.expect(']');
    if (count != 2) refuse();
  });
  at = reader.at();
  return merges;
}

}  // namespace aira
