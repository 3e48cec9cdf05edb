// What chat templates call by name: filters, methods, functions and tests, one table each.
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "aira/error.h"
#include "base/printable.h"
#include "text/jinja_value.h"
#include "text/unicode.h"

namespace aira::jinja {
namespace {

/// Python's str.isspace.
bool is_blank(char32_t unit) {
  const char32_t code = letter(unit);
  return is_space(code) || (code >= 0x1C && code <= 0x1F);
}

char32_t upper(char32_t unit) {
  const auto code = static_cast<utf8proc_int32_t>(letter(unit));
  return static_cast<char32_t>(utf8proc_toupper(code)) | (unit & kTyped);
}
char32_t lower(char32_t unit) {
  const auto code = static_cast<utf8proc_int32_t>(letter(unit));
  return static_cast<char32_t>(utf8proc_tolower(code)) | (unit & kTyped);
}

/// A call: what it is made on, and what it is given.
struct Call {
  const std::string& name;
  const Value& self;
  const Arguments& given;

  /// At most that many arguments, without names.
  void expect(std::size_t most) const {
    if (given.values.size() > most || !given.named.empty()) {
      unsupported("these arguments of \"" + name + "\"");
    }
  }
  const Text& text(const Value& value) const {
    if (const auto* found = value.as<Text>()) return *found;
    throw Error("The chat template uses \"" + name + "\" where there is no text.");
  }
  const Text& self_text(std::size_t most) const { return expect(most), text(self); }
  const Text& argument(std::size_t at) const {
    if (at >= given.values.size()) unsupported("\"" + name + "\" without an argument");
    return text(given.values[at]);
  }
};

Text stripped(const Call& call, bool left, bool right) {
  const Text& text = call.self_text(1);
  const Text* set = call.given.values.empty() ? nullptr : &call.argument(0);
  const auto goes = [&](char32_t unit) {
    return set == nullptr ? is_blank(unit)
                          : std::any_of(set->begin(), set->end(),
                                        [&](char32_t one) { return letter(one) == letter(unit); });
  };
  std::size_t from = 0, to = text.size();
  while (left && from < to && goes(text[from])) ++from;
  while (right && to > from && goes(text[to - 1])) --to;
  return text.substr(from, to - from);
}

Value strip(const Call& call) { return {stripped(call, true, true)}; }
Value lstrip(const Call& call) { return {stripped(call, true, false)}; }
Value rstrip(const Call& call) { return {stripped(call, false, true)}; }

template <char32_t (*convert)(char32_t)>
Value converted(const Call& call) {
  Text text = call.self_text(0);
  std::transform(text.begin(), text.end(), text.begin(), convert);
  return {std::move(text)};
}

/// Words begin with a capital: after anything but a letter (the method), after blanks and some
/// marks (the filter), at the beginning alone (capitalize).
template <bool (*begins)(char32_t)>
Value capitals(const Call& call) {
  Text text = call.self_text(0);
  bool first = true;
  for (char32_t& unit : text) {
    const char32_t before = unit;
    unit = first ? upper(unit) : lower(unit);
    first = begins(letter(before));
  }
  return {std::move(text)};
}
bool never(char32_t /*code*/) { return false; }
bool no_letter(char32_t code) { return char_class(code) != CharClass::kLetter; }
bool word_mark(char32_t code) { return is_blank(code) || Text(U"-({[<").find(code) != Text::npos; }

Value length(const Call& call) {
  call.expect(0);
  return {static_cast<std::int64_t>(items(call.self).size())};
}

std::size_t find(const Text& text, const Text& part, std::size_t from) {
  const auto at =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), part.begin(),
                  part.end(), [](char32_t a, char32_t b) { return letter(a) == letter(b); });
  return at == text.end() ? Text::npos : static_cast<std::size_t>(at - text.begin());
}

/// The parts of the text between `separator`.
List parts(const Text& text, const Text& separator) {
  if (separator.empty()) throw Error("The chat template splits a text at nothing.");
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

Value replace(const Call& call) {
  const Text& text = call.self_text(2);
  return {joined(parts(text, call.argument(0)), call.argument(1))};
}

Value split(const Call& call) {
  const Text& text = call.self_text(1);
  if (!call.given.values.empty()) return new_list(parts(text, call.argument(0)));
  List list;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && !is_blank(text[end])) ++end;
    if (end > at) list.push_back({text.substr(at, end - at)});
    at = end + 1;
  }
  return new_list(std::move(list));
}

Value startswith(const Call& call) {
  const Text& text = call.self_text(1);
  return {equal({text.substr(0, call.argument(0).size())}, {call.argument(0)})};
}
Value endswith(const Call& call) {
  const Text& text = call.self_text(1);
  const std::size_t size = std::min(text.size(), call.argument(0).size());
  return {equal({text.substr(text.size() - size)}, {call.argument(0)})};
}

Value join(const Call& call) {
  call.expect(1);
  return {joined(items(call.self), call.given.values.empty() ? Text() : call.argument(0))};
}

Value otherwise(const Call& call) {
  call.expect(2);
  const List& values = call.given.values;
  const bool missing = call.self.as<Undefined>() != nullptr ||
                       (values.size() == 2 && truth(values[1]) && !truth(call.self));
  if (!missing) return call.self;
  return values.empty() ? Value{Text()} : values[0];
}

Value first(const Call& call) { return call.expect(0), item(call.self, {std::int64_t{0}}); }
Value last(const Call& call) { return call.expect(0), item(call.self, {std::int64_t{-1}}); }
Value list(const Call& call) { return call.expect(0), new_list(items(call.self)); }
Value string(const Call& call) { return call.expect(0), Value{print(call.self)}; }

/// As json.dumps(value, ensure_ascii=False).
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
  if (value.as<std::int64_t>() == nullptr) throw Error("The chat template has no value to write.");
  return print(value);
}
Value tojson(const Call& call) { return call.expect(0), Value{json(call.self)}; }

Value pairs(const Call& call) {
  call.expect(0);
  List list;
  for (const Value& key : items(call.self)) list.push_back(new_list({key, item(call.self, key)}));
  return new_list(std::move(list));
}
Value values(const Call& call) {
  call.expect(0);
  List list;
  for (const Value& key : items(call.self)) list.push_back(item(call.self, key));
  return new_list(std::move(list));
}
Value get(const Call& call) {
  call.expect(2);
  const List& given = call.given.values;
  Value found = given.empty() ? Value{} : item(call.self, given[0]);
  if (found.as<Undefined>() == nullptr) return found;
  return given.size() == 2 ? given[1] : Value{None{}};
}

Value raise(const Call& call) {
  call.expect(1);
  throw Error("The model's chat template refuses: " + printable(utf8_of(call.argument(0)), 300));
}
Value range(const Call& call) {
  call.expect(3);
  std::array<std::int64_t, 3> bounds = {0, 0, 1};
  const List& given = call.given.values;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto* whole = given[i].as<std::int64_t>();
    if (whole == nullptr) unsupported("these arguments of \"range\"");
    bounds[given.size() == 1 ? 1 : i] = *whole;
  }
  constexpr std::int64_t kMost = 100000;  // Jinja's own
  const auto [from, to, step] = bounds;
  List list;
  for (std::int64_t at = from; step > 0 ? at < to : at > to; at += step) {
    if (step == 0 || static_cast<std::int64_t>(list.size()) == kMost)
      unsupported("so long a range");
    list.push_back({at});
  }
  return new_list(std::move(list));
}
Value mapping(const Call& call) {
  if (!call.given.values.empty()) unsupported("these arguments of \"" + call.name + "\"");
  return new_dict(call.given.named);
}

using Run = Value (*)(const Call&);
struct Row {
  const char* name;
  Run run;  // null: known to templates, not to us
};

constexpr auto kFilters = std::to_array<Row>({{"trim", strip},
                                              {"upper", converted<upper>},
                                              {"lower", converted<lower>},
                                              {"length", length},
                                              {"count", length},
                                              {"capitalize", capitals<never>},
                                              {"join", join},
                                              {"title", capitals<word_mark>},
                                              {"replace", replace},
                                              {"first", first},
                                              {"last", last},
                                              {"default", otherwise},
                                              {"d", otherwise},
                                              {"list", list},
                                              {"string", string},
                                              {"safe", string},
                                              {"tojson", tojson},
                                              {"items", pairs}});

constexpr auto kMethods = std::to_array<Row>({{"strip", strip},
                                              {"lstrip", lstrip},
                                              {"rstrip", rstrip},
                                              {"upper", converted<upper>},
                                              {"lower", converted<lower>},
                                              {"title", capitals<no_letter>},
                                              {"capitalize", capitals<never>},
                                              {"replace", replace},
                                              {"split", split},
                                              {"startswith", startswith},
                                              {"endswith", endswith},
                                              {"items", pairs},
                                              {"keys", list},
                                              {"values", values},
                                              {"get", get}});

constexpr auto kFunctions = std::to_array<Row>({{"raise_exception", raise},
                                                {"range", range},
                                                {"dict", mapping},
                                                {"namespace", mapping},
                                                {"strftime_now", nullptr},
                                                {"lipsum", nullptr},
                                                {"cycler", nullptr},
                                                {"joiner", nullptr}});

struct Test {
  const char* name;
  bool (*holds)(const Value& value, const Arguments& arguments);
};
template <typename T>
bool is(const Value& value, const Arguments& /*arguments*/) {
  return value.as<T>() != nullptr;
}
bool equals(const Value& value, const Arguments& arguments) {
  return !arguments.values.empty() && equal(value, arguments.values[0]);
}
template <bool flag>
bool is_flag(const Value& value, const Arguments& /*arguments*/) {
  const auto* found = value.as<bool>();
  return found != nullptr && *found == flag;
}

constexpr auto kTests = std::to_array<Test>({
    {"defined", [](const Value& v, const Arguments&) { return v.as<Undefined>() == nullptr; }},
    {"undefined", is<Undefined>},
    {"none", is<None>},
    {"boolean", is<bool>},
    {"string", is<Text>},
    {"integer", is<std::int64_t>},
    {"number",
     [](const Value& v, const Arguments&) { return v.as<std::int64_t>() || v.as<bool>(); }},
    {"mapping", is<std::shared_ptr<Dict>>},
    {"sequence",
     [](const Value& v, const Arguments&) { return v.list() || v.dict() || v.as<Text>(); }},
    {"iterable",
     [](const Value& v, const Arguments&) {
       return v.list() || v.dict() || v.as<Text>() || v.as<Undefined>();
     }},
    {"true", is_flag<true>},
    {"false", is_flag<false>},
    {"equalto", equals},
    {"eq", equals},
    {"in",
     [](const Value& v, const Arguments& given) {
       return !given.values.empty() && contains(given.values[0], v);
     }},
    {"odd",
     [](const Value& v, const Arguments&) { return truth(operate("%", v, {std::int64_t{2}})); }},
    {"even",
     [](const Value& v, const Arguments&) { return !truth(operate("%", v, {std::int64_t{2}})); }},
});

template <typename Table>
const auto* row_of(const Table& table, const std::string& name) {
  const auto* const row =
      std::find_if(table.begin(), table.end(), [&](const auto& one) { return one.name == name; });
  return row == table.end() ? nullptr : row;
}

}  // namespace

Value filter(const std::string& name, const Value& value, const Arguments& arguments) {
  const Row* row = row_of(kFilters, name);
  if (row == nullptr) unsupported("the filter " + quote(name));
  return row->run({name, value, arguments});
}

Value method(const std::string& name, const Value& value, const Arguments& arguments) {
  if (const auto* missing = value.as<Undefined>()) {
    throw Error("The chat template looks into " + quote(missing->name) + ", which is not defined.");
  }
  const Row* row = row_of(kMethods, name);
  if (row == nullptr) unsupported("the method " + quote(name));
  return row->run({name, value, arguments});
}

Value call(const Value& function, const Arguments& arguments) {
  const auto* known = function.as<Function>();
  const Row* row = known == nullptr ? nullptr : row_of(kFunctions, known->name);
  const auto* missing = function.as<Undefined>();
  if (row == nullptr || row->run == nullptr) {
    unsupported("the function " + quote(known != nullptr     ? known->name
                                        : missing != nullptr ? missing->name
                                                             : "?"));
  }
  return row->run({known->name, {}, arguments});
}

bool test(const std::string& name, const Value& value, const Arguments& arguments) {
  const Test* row = row_of(kTests, name);
  if (row == nullptr) unsupported("the test " + quote(name));
  return row->holds(value, arguments);
}

bool is_function(const std::string& name) { return row_of(kFunctions, name) != nullptr; }

}  // namespace aira::jinja
