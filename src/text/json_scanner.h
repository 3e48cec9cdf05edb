// A pull reader for large JSON files whose shape is known: a tokenizer.json of 3.5 MB holds 100,000
// short strings, and a tree of them costs more time than all the rest of start-up. The caller takes
// the few long lists apart itself and hands every other value to parse_json, so that each byte is
// checked by one of the two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aira {

class JsonScanner {
 public:
  /// Both must outlive this. `where` opens every message.
  JsonScanner(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  /// The first letter of the next value, e.g. '{'.
  char peek();

  /// Reads the object that is next: calls visit(key) for each key, which must take the value. The
  /// key is valid until the next call on this.
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

  /// The string that is next, valid until the next call on this.
  std::string_view string();

  /// The whole number that is next; nothing, and the value taken, when it is something else.
  std::optional<std::int64_t> integer();

  /// The text of the value that is next, found by its brackets and quotes only: it must still go
  /// through parse_json.
  std::string_view skip();

  /// Nothing but white space may follow.
  void finish();

  [[noreturn]] void fail() const;

 private:
  void skip_space();
  void skip_string();
  bool open(char opening, char closing);
  bool another(char closing);
  void expect(char wanted);
  void unescape();
  char32_t hex4();

  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string storage_;
};

}  // namespace aira
