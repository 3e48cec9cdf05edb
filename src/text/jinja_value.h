// The values of chat templates and what can be done with them, with Python's meaning: texts are
// sequences of code points. What a template asks for beyond this is refused by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace aira::jinja {

/// Code points. Those that somebody typed carry kTyped through all operations, so that a special
/// token among them can be told from one of the template's own.
using Text = std::u32string;
inline constexpr char32_t kTyped = 0x80000000;
inline char32_t letter(char32_t unit) { return unit & ~kTyped; }

struct Value;
using List = std::vector<Value>;                   // a tuple too
using Dict = std::vector<std::pair<Text, Value>>;  // in the order of insertion

struct None {};
struct Undefined {
  std::string name;
};
struct Function {
  std::string name;
};

struct Value {
  std::variant<Undefined, None, bool, std::int64_t, Text, std::shared_ptr<List>,
               std::shared_ptr<Dict>, Function>
      is;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&is);
  }
  const List* list() const {
    const auto* found = as<std::shared_ptr<List>>();
    return found == nullptr ? nullptr : found->get();
  }
  Dict* dict() const {
    const auto* found = as<std::shared_ptr<Dict>>();
    return found == nullptr ? nullptr : found->get();
  }
};

struct Arguments {
  List values;
  Dict named;
};

Text text_of(std::string_view utf8, bool typed = false);
std::string utf8_of(const Text& text);
Value new_list(List items);
Value new_dict(Dict items);

/// Python's truth.
bool truth(const Value& value);
/// What `{{ value }}` prints. Throws Error for what has no short form, such as a list.
Text print(const Value& value);
bool equal(const Value& a, const Value& b);
/// `inner in outer`
bool contains(const Value& outer, const Value& inner);
/// `a OPERATOR b` for + - * // % ~ < > <= >=. Throws Error.
Value operate(std::string_view operation, const Value& a, const Value& b);
/// `value[key]` and `value.key`; Undefined when it is missing.
Value item(const Value& value, const Value& key);
/// `value[from:to:step]`; bounds that are None are left out.
Value slice(const Value& value, const Value& from, const Value& to, const Value& step);
/// What a loop over `value` goes through.
List items(const Value& value);

// Texts (jinja_texts.cc).

/// Less white space, or letters of `set`, at the ends.
Text stripped(const Text& text, const Text* set, bool left, bool right);
Text upper(Text text);
Text lower(Text text);
Text capitalised(Text text);
/// Each word with a capital: words begin behind blanks and some marks, or behind anything but a
/// letter.
Text titled(Text text);
Text titled_strictly(Text text);
/// The parts between `separator`, and those between white space.
List parts(const Text& text, const Text& separator);
List words(const Text& text);
Text joined(const List& list, const Text& separator);
/// As json.dumps(value, ensure_ascii=False).
Text json(const Value& value);

// What templates call by name (jinja_names.cc).

/// `value | NAME(arguments)`
Value filter(const std::string& name, const Value& value, const Arguments& arguments);
/// `value.NAME(arguments)`
Value method(const std::string& name, const Value& value, const Arguments& arguments);
/// `NAME(arguments)`
Value call(const Value& function, const Arguments& arguments);
/// `value is NAME(arguments)`
bool test(const std::string& name, const Value& value, const Arguments& arguments);
/// Whether templates can call a function of that name, supported here or not.
bool is_function(const std::string& name);

/// Throws: the chat template uses WHAT, which is not supported.
[[noreturn]] void unsupported(const std::string& what);

}  // namespace aira::jinja
