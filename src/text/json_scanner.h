// A pull reader for large JSON files whose shape is known: a tokenizer.json of 3.5 MB holds 100,000
// short strings, and a tree of them costs more time than the rest of start-up. The caller reads the
// few long lists itself and hands every other value to parse_json, so that each byte is checked by
// one of the two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aira {

class JsonScanner {
 public:
  /// Starts at byte `at`. Text and `where`, which opens every message, must outlive this.
  JsonScanner(std::string_view text, const std::string& where, std::size_t at = 0)
      : text_(text), where_(where), at_(at) {}

  /// The first letter of the next value, e.g. '{'.
  char peek() {
    // Copies of members, here and below: the compiler takes any byte of the text for a part of
    // them.
    const std::string_view text = text_;
    std::size_t at = at_;
    while (at < text.size() && is_space(text[at])) ++at;
    at_ = at;
    if (at == text.size()) fail();
    return text[at];
  }

  /// Reads the object that is next: calls visit(key) for each key, which must take the value. The
  /// key is valid until the next string is read.
  template <typename Visit>
  void object(Visit visit) {
    if (!open('{', '}')) return;
    do {
      const std::string_view key = string();
      expect(':');
      visit(key);
    } while (another('}'));
  }

  /// Reads the list that is next: calls visit() for each element, which must take it.
  template <typename Visit>
  void list(Visit visit) {
    if (!open('[', ']')) return;
    do {
      visit();
    } while (another(']'));
  }

  /// The string that is next, valid until the next string is read.
  std::string_view string() {
    expect('"');
    const std::string_view value = plain_letters();
    if (text_[at_] == '\\') return escaped_string(value);
    ++at_;
    return value;
  }

  /// The whole number that is next; nothing, and the value taken, when it is something else.
  std::optional<std::int64_t> integer();

  /// The text of the value that is next, found by its brackets and quotes only: it must still go
  /// through parse_json.
  std::string_view skip();

  /// Nothing but white space may follow.
  void finish();

  /// The number of bytes that are left.
  std::size_t rest() const { return text_.size() - at_; }
  /// The byte that is next; where to go on.
  std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = at; }

  [[noreturn]] void fail() const;

 private:
  static bool is_space(char byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
  }
  void expect(char wanted) {
    if (peek() != wanted) fail();
    ++at_;
  }
  bool open(char opening, char closing) {
    expect(opening);
    if (peek() != closing) return true;
    ++at_;
    return false;
  }
  bool another(char closing) {
    const char next = peek();
    if (next != ',' && next != closing) fail();
    ++at_;
    return next == ',';
  }
  /// The letters up to the next quote or backslash, which there must be.
  std::string_view plain_letters() {
    const std::string_view text = text_;
    const std::size_t begin = at_;
    std::size_t at = begin;
    for (;;) {
      while (at < text.size() && kPlain[static_cast<unsigned char>(text[at])]) ++at;
      if (at < text.size() && (text[at] == '"' || text[at] == '\\')) break;
      at = end_of_letter(at);
    }
    at_ = at;
    return {text.data() + begin, at - begin};
  }
  /// The end of the letter beyond ASCII that there must be at `at`.
  std::size_t end_of_letter(std::size_t at);
  /// The rest of a string from its first escape on, behind `begin`.
  std::string_view escaped_string(std::string_view begin);
  /// Appends to storage_ what the escape that is next means.
  void unescape();
  char32_t hex4();
  void skip_string();

  /// ASCII bytes that stand for themselves inside a string.
  static constexpr std::array<bool, 256> kPlain = [] {
    std::array<bool, 256> plain{};
    for (std::size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
    return plain;
  }();

  std::string_view text_;
  const std::string& where_;
  std::size_t at_;
  std::string storage_;
};

}  // namespace aira
