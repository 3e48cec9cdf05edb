// What chat templates call by name: filters, methods, functions and tests, one table each.
#include <algorithm>
#include <array>

#include "aira/error.h"
#include "base/printable.h"
#include "text/jinja_value.h"

namespace aira::jinja {
namespace {

/// A call: what it is made on, and what it is given.
struct Call {
  const std::string& name;
  const Value& self;
  const Arguments& given;

  /// At most that many arguments, without names.
  void expect(std::size_t most) const {
    if (given.values.size() > most || !given.named.empty()) {
      unsupported(message("these arguments of {}", {quote(name)}));
    }
  }
  const Text& text(const Value& value) const {
    if (const auto* found = value.as<Text>()) return *found;
    throw Error("[E326] The chat template uses {} where there is no text.", {quote(name)});
  }
  const Text& self_text(std::size_t most) const { return expect(most), text(self); }
  const Text& argument(std::size_t at) const {
    if (at >= given.values.size()) {
      unsupported(message("{} without an argument", {quote(name)}));
    }
    return text(given.values[at]);
  }
};

template <bool left, bool right>
Value strip(const Call& call) {
  const Text& text = call.self_text(1);
  return {stripped(text, call.given.values.empty() ? nullptr : &call.argument(0), left, right)};
}

template <Text (*convert)(Text)>
Value converted(const Call& call) {
  return {convert(call.self_text(0))};
}

Value length(const Call& call) {
  call.expect(0);
  return {static_cast<std::int64_t>(items(call.self).size())};
}

Value replace(const Call& call) {
  const Text& text = call.self_text(2);
  return {joined(parts(text, call.argument(0)), call.argument(1))};
}

Value split(const Call& call) {
  const Text& text = call.self_text(1);
  return new_list(call.given.values.empty() ? words(text) : parts(text, call.argument(0)));
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

Value tojson(const Call& call) { return call.expect(0), Value{json(call.self)}; }

Value pairs(const Call& call) {
  call.expect(0);
  List list;
  for (const Value& key : items(call.self)) list.push_back(new_list({key, item(call.self, key)}));
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
  throw Error("[E327] The model's chat template refuses: {}",
              {printable(utf8_of(call.argument(0)), 300)});
}
Value mapping(const Call& call) {
  if (!call.given.values.empty()) {
    unsupported(message("these arguments of {}", {quote(call.name)}));
  }
  return new_dict(call.given.named);
}

using Run = Value (*)(const Call&);
struct Row {
  const char* name;
  Run run;  // null: known to templates, not to us
};

constexpr auto kFilters = std::to_array<Row>({{"trim", strip<true, true>},
                                              {"upper", converted<upper>},
                                              {"lower", converted<lower>},
                                              {"length", length},
                                              {"count", length},
                                              {"capitalize", converted<capitalised>},
                                              {"join", join},
                                              {"title", converted<titled>},
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

constexpr auto kMethods = std::to_array<Row>({{"strip", strip<true, true>},
                                              {"lstrip", strip<true, false>},
                                              {"rstrip", strip<false, true>},
                                              {"upper", converted<upper>},
                                              {"lower", converted<lower>},
                                              {"title", converted<titled_strictly>},
                                              {"capitalize", converted<capitalised>},
                                              {"replace", replace},
                                              {"split", split},
                                              {"startswith", startswith},
                                              {"endswith", endswith},
                                              {"items", pairs},
                                              {"keys", list},
                                              {"get", get}});

constexpr auto kFunctions = std::to_array<Row>({{"raise_exception", raise},
                                                {"dict", mapping},
                                                {"namespace", mapping},
                                                {"strftime_now", nullptr}});

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
  if (row == nullptr) unsupported(message("the filter {}", {quote(name)}));
  return row->run({name, value, arguments});
}

Value method(const std::string& name, const Value& value, const Arguments& arguments) {
  if (const auto* missing = value.as<Undefined>()) {
    throw Error("[E328] The chat template looks into {}, which is not defined.",
                {quote(missing->name)});
  }
  const Row* row = row_of(kMethods, name);
  if (row == nullptr) unsupported(message("the method {}", {quote(name)}));
  return row->run({name, value, arguments});
}

Value call(const Value& function, const Arguments& arguments) {
  const auto* known = function.as<Function>();
  const Row* row = known == nullptr ? nullptr : row_of(kFunctions, known->name);
  const auto* missing = function.as<Undefined>();
  if (row == nullptr || row->run == nullptr) {
    unsupported(message("the function {}", {quote(known != nullptr     ? known->name
                                                  : missing != nullptr ? missing->name
                                                                       : "?")}));
  }
  return row->run({known->name, {}, arguments});
}

bool test(const std::string& name, const Value& value, const Arguments& arguments) {
  const Test* row = row_of(kTests, name);
  if (row == nullptr) unsupported(message("the test {}", {quote(name)}));
  return row->holds(value, arguments);
}

bool is_function(const std::string& name) { return row_of(kFunctions, name) != nullptr; }

}  // namespace aira::jinja
