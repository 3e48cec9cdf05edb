// Python's methods of texts, and json.dumps.
#include <utf8proc.h>

#include <algorithm>
#include <string_view>

#include "aira/error.h"
#include "base/printable.h"
#include "text/jinja_value.h"
#include "text/unicode.h"

namespace aira::jinja {
namespace {

/// Letters that become several, or depend on those around, are not converted as Python does.
char32_t converted(char32_t unit, utf8proc_int32_t (*convert)(utf8proc_int32_t)) {
  static constexpr char32_t kRanges[][2] = {{0xDF, 0xDF},     {0x130, 0x130},  {0x149, 0x149},
                                            {0x1F0, 0x1F0},   {0x390, 0x390},  {0x3A3, 0x3A3},
                                            {0x3B0, 0x3B0},   {0x587, 0x587},  {0x1E96, 0x1E9E},
                                            {0x1F50, 0x1FFC}, {0xFB00, 0xFB17}};
  const char32_t code = letter(unit);
  for (const auto& [from, to] : kRanges) {
    if (code >= from && code <= to) {
      unsupported(message("the other case of {}", {quote(utf8_of({code}))}));
    }
  }
  return static_cast<char32_t>(convert(static_cast<utf8proc_int32_t>(code))) | (unit & kTyped);
}

/// A capital at the beginning and wherever `begins` the letter before.
Text capitals(Text text, bool (*begins)(char32_t code)) {
  bool first = true;
  for (char32_t& unit : text) {
    const char32_t before = unit;
    unit = converted(unit, first ? utf8proc_toupper : utf8proc_tolower);
    first = begins(letter(before));
  }
  return text;
}

std::size_t find(const Text& text, const Text& part, std::size_t from) {
  const auto at =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), part.begin(),
                  part.end(), [](char32_t a, char32_t b) { return letter(a) == letter(b); });
  return at == text.end() ? Text::npos : static_cast<std::size_t>(at - text.begin());
}

}  // namespace

Text stripped(const Text& text, const Text* set, bool left, bool right) {
  const auto goes = [&](char32_t unit) {
    return set == nullptr ? is_python_space(letter(unit))
                          : std::any_of(set->begin(), set->end(),
                                        [&](char32_t one) { return letter(one) == letter(unit); });
  };
  std::size_t from = 0, to = text.size();
  while (left && from < to && goes(text[from])) ++from;
  while (right && to > from && goes(text[to - 1])) --to;
  return text.substr(from, to - from);
}

Text upper(Text text) {
  for (char32_t& unit : text) unit = converted(unit, utf8proc_toupper);
  return text;
}
Text lower(Text text) {
  for (char32_t& unit : text) unit = converted(unit, utf8proc_tolower);
  return text;
}
Text capitalised(Text text) {
  return capitals(std::move(text), [](char32_t) { return false; });
}
Text titled(Text text) {
  return capitals(std::move(text), [](char32_t code) {
    return is_python_space(code) || std::u32string_view(U"-({[<").find(code) != Text::npos;
  });
}
Text titled_strictly(Text text) {
  return capitals(std::move(text),
                  [](char32_t code) { return char_class(code) != CharClass::kLetter; });
}

List parts(const Text& text, const Text& separator) {
  if (separator.empty()) throw Error("[E329] The chat template splits a text at nothing.");
  List list;
  std::size_t from = 0;
  for (std::size_t at = 0; (at = find(text, separator, from)) != Text::npos;) {
    list.push_back({text.substr(from, at - from)});
    from = at + separator.size();
  }
  list.push_back({text.substr(from)});
  return list;
}

Text joined(const List& list, const Text& separator) {
  Value text = {Text()};
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text = operate("+", text, {separator});
    text = operate("~", text, list[i]);
  }
  return *text.as<Text>();
}

List words(const Text& text) {
  List list;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && !is_python_space(letter(text[end]))) ++end;
    if (end > at) list.push_back({text.substr(at, end - at)});
    at = end + 1;
  }
  return list;
}

Text json(const Value& value) {
  if (const auto* text = value.as<Text>()) {
    Text quoted = U"\"";
    for (const char32_t unit : *text) {
      constexpr std::u32string_view kPlain = U"\"\\\n\r\t\b\f", kEscaped = U"\"\\nrtbf";
      const auto at = kPlain.find(letter(unit));
      if (at != Text::npos) {
        (quoted += U'\\') += kEscaped[at];
      } else if (letter(unit) < 0x20) {
        constexpr const char32_t* kDigits = U"0123456789abcdef";
        ((quoted += U"\\u00") += kDigits[letter(unit) / 16]) += kDigits[letter(unit) % 16];
      } else {
        quoted += unit;
      }
    }
    return quoted + U"\"";
  }
  Text text;
  if (const List* list = value.list()) {
    for (const Value& one : *list) text += (text.empty() ? U"" : U", ") + json(one);
    return U"[" + text + U"]";
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, one] : *dict) {
      text += (text.empty() ? U"" : U", ") + json({key}) + U": " + json(one);
    }
    return U"{" + text + U"}";
  }
  if (value.as<None>() != nullptr) return U"null";
  if (const auto* flag = value.as<bool>()) return *flag ? U"true" : U"false";
  if (value.as<std::int64_t>() == nullptr) {
    throw Error("[E330] The chat template has no value to write.");
  }
  return print(value);
}
}  // namespace aira::jinja
