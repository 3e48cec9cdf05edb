// The tokens of a Jinja template, by the rules of its own lexer.
#include <algorithm>
#include <array>

#include "aira/error.h"
#include "base/printable.h"
#include "text/jinja.h"
#include "text/unicode.h"

namespace aira::jinja {
namespace {

using Kind = Token::Kind;

bool is_digit(char32_t code) { return code >= U'0' && code <= U'9'; }

/// Line breaks are \n; the last one goes.
Text normalized(std::string_view source) {
  Text text;
  for (const char32_t code : text_of(source)) {
    if (code == U'\n' && text.ends_with(U'\r')) text.pop_back();
    text.push_back(code);
  }
  std::replace(text.begin(), text.end(), U'\r', U'\n');
  if (text.ends_with(U'\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      const std::size_t open = next_tag();
      read_data(open);
      if (open == text_.size()) break;
      const char32_t tag = text_[open + 1];
      if (tag == U'#') {
        at_ = text_.find(U"#}", open + 2);
        if (at_ == Text::npos) fail(message("a comment has no end"));
        close(U"#}");
      } else {
        add(tag == U'{' ? Kind::kPrint : Kind::kBlock, text_.substr(open, 2));
        read_tag(tag == U'{' ? U"}}" : U"%}");
      }
    }
    add(Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  bool starts(const Text& what) const { return text_.compare(at_, what.size(), what) == 0; }
  /// Of at_, which only grows.
  std::size_t line() {
    for (; counted_ < std::min(at_, text_.size()); ++counted_)
      line_ += text_[counted_] == U'\n' ? 1 : 0;
    return line_;
  }
  [[noreturn]] void fail(const std::string& what) {
    throw Error("[E320] The model's chat template cannot be read: line {}: {}.",
                {std::to_string(line()), what});
  }
  void add(Kind kind, Text text) { tokens_.push_back({kind, std::move(text), line()}); }

  std::size_t next_tag() const {
    std::size_t open = at_;
    while ((open = text_.find(U'{', open)) != Text::npos && open + 1 < text_.size()) {
      const char32_t next = text_[open + 1];
      if (next == U'{' || next == U'%' || next == U'#') return open;
      ++open;
    }
    return text_.size();
  }

  /// The text before a tag, which may cut white space from its end; moves behind the tag's opening.
  void read_data(std::size_t open) {
    Text data = text_.substr(at_, open - at_);
    const bool at_line_start = at_ == 0 || text_[at_ - 1] == U'\n';
    at_ = open + 2;
    const char32_t sign = at_ < text_.size() ? text_[at_] : U' ';
    if (open == text_.size()) {
      at_ = open;
    } else if (sign == U'-' || sign == U'+') {
      ++at_;
      while (sign == U'-' && !data.empty() && is_python_space(data.back())) data.pop_back();
    } else if (text_[open + 1] != U'{') {
      const std::size_t start = data.rfind(U'\n') + 1;  // 0 when there is none
      const bool blank = std::all_of(data.begin() + static_cast<std::ptrdiff_t>(start), data.end(),
                                     is_python_space);
      if (blank && (start > 0 || at_line_start)) data.resize(start);
    }
    if (!data.empty()) add(Kind::kData, std::move(data));
  }

  /// Moves behind `end`, to which a sign before it may belong, and the white space that goes.
  void close(const Text& end) {
    const char32_t sign = at_ > 0 ? text_[at_ - 1] : U' ';
    at_ += end.size();
    if (sign == U'-') {
      while (at_ < text_.size() && is_python_space(text_[at_])) ++at_;
    } else if (sign != U'+' && end != U"}}" && at_ < text_.size() && text_[at_] == U'\n') {
      ++at_;
    }
  }

  void read_tag(const Text& end) {
    int open_brackets = 0;
    for (;;) {
      while (at_ < text_.size() && is_python_space(text_[at_])) ++at_;
      if (at_ == text_.size()) fail(message("a tag has no end"));
      if (open_brackets == 0) {
        const bool signed_end = starts(U"-" + end) || (end == U"%}" && starts(U"+" + end));
        if (signed_end) ++at_;
        if (signed_end || starts(end)) break;
      }
      read_token(open_brackets);
    }
    add(Kind::kClose, end);
    // A minus that belongs to the expression before it has been read as a token of its own.
    close(end);
  }

  void read_token(int& open_brackets) {
    const char32_t first = text_[at_];
    const auto run_while = [&](auto belongs) {
      const std::size_t from = at_;
      while (at_ < text_.size() && belongs(text_[at_])) ++at_;
      return text_.substr(from, at_ - from);
    };
    if (is_digit(first)) {
      const Text digits = run_while(is_digit);
      if (digits.size() > 18) fail(message("a number is too long"));
      if (at_ + 1 < text_.size() && text_[at_] == U'.' && is_digit(text_[at_ + 1])) {
        unsupported(message("a number with a decimal point"));
      }
      return add(Kind::kNumber, digits);
    }
    if (is_word_char(first)) return add(Kind::kName, run_while(is_word_char));
    if (first == U'"' || first == U'\'') return add(Kind::kText, read_text());
    static constexpr std::array<std::u32string_view, 27> kSigns = {
        U"//", U"**", U"==", U"!=", U">=", U"<=", U"+", U"-", U"*", U"/", U"%", U"~", U"[", U"]",
        U"(",  U")",  U"{",  U"}",  U">",  U"<",  U"=", U".", U":", U"|", U",", U";", U"!"};
    for (const std::u32string_view sign : kSigns) {
      if (text_.compare(at_, sign.size(), sign) != 0) continue;
      if (sign.size() == 1) {
        open_brackets += Text(U"([{").find(first) != Text::npos ? 1 : 0;
        open_brackets -= Text(U")]}").find(first) != Text::npos ? 1 : 0;
        if (open_brackets < 0) fail(message("a bracket is closed that was not opened"));
      }
      add(Kind::kSign, Text(sign));
      at_ += sign.size();
      return;
    }
    fail(message("the character {} makes no sense in a tag", {quote(utf8_of(Text(1, first)))}));
  }

  /// A text between quotes, with Python's escapes.
  Text read_text() {
    const char32_t mark = text_[at_++];
    Text text;
    for (; at_ < text_.size() && text_[at_] != mark; ++at_) {
      if (text_[at_] != U'\\' || at_ + 1 == text_.size()) {
        text += text_[at_];
        continue;
      }
      constexpr std::u32string_view kEscaped = U"ntrbfva0\\'\"";
      constexpr char32_t kMeant[] = U"\n\t\r\b\f\v\a\0\\'\"";
      const char32_t escaped = text_[++at_];
      if (escaped == U'\n') continue;
      if (const auto found = kEscaped.find(escaped); found != Text::npos) {
        text += kMeant[found];
      } else if (escaped == U'x' || escaped == U'u' || escaped == U'U') {
        text += read_code(escaped == U'x' ? 2 : escaped == U'u' ? 4 : 8);
      } else {
        (text += U'\\') += escaped;
      }
    }
    if (at_ == text_.size()) fail(message("a text has no closing quote"));
    ++at_;
    return text;
  }

  /// The code point of the hexadecimal digits behind at_; leaves at_ at the last one.
  char32_t read_code(std::size_t count) {
    char32_t code = 0;
    for (; count > 0; --count) {
      const auto digit =
          std::u32string_view(U"0123456789abcdef")
              .find(++at_ < text_.size() ? text_[at_] | (text_[at_] >= U'A' ? 0x20U : 0U) : U' ');
      if (digit == Text::npos) fail(message("an escape lacks digits"));
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      fail(message("an escape is no character"));
    }
    return code;
  }

  Text text_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;  // up to here line_ has counted
  std::size_t line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view source) { return Lexer(source).run(); }

}  // namespace aira::jinja
