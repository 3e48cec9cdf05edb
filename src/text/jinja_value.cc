#include "text/jinja_value.h"

#include <algorithm>
#include <limits>

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace aira::jinja {
namespace {

constexpr std::size_t kLongest = std::size_t{1} << 24;  // letters of a text, items of a list

bool same(char32_t a, char32_t b) { return letter(a) == letter(b); }

/// "a text", for messages.
std::string kind_of(const Value& value) {
  constexpr const char* kKinds[] = {to_translate("something undefined"),
                                    "none",
                                    to_translate("a boolean"),
                                    to_translate("a number"),
                                    to_translate("a text"),
                                    to_translate("a list"),
                                    to_translate("a mapping"),
                                    to_translate("a function")};
  return message(kKinds[value.is.index()]);
}

/// A number, or a boolean as one.
const std::int64_t* number(const Value& value, std::int64_t& storage) {
  if (const auto* whole = value.as<std::int64_t>()) return whole;
  const auto* flag = value.as<bool>();
  if (flag == nullptr) return nullptr;
  storage = *flag ? 1 : 0;
  return &storage;
}

int compare(const Text& a, const Text& b) {
  const auto before = [](char32_t x, char32_t y) { return letter(x) < letter(y); };
  if (std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), before)) return -1;
  return std::lexicographical_compare(b.begin(), b.end(), a.begin(), a.end(), before) ? 1 : 0;
}

Value calculate(std::string_view operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool fails = false;
  if (operation == "+") {
    fails = __builtin_add_overflow(a, b, &result);
  } else if (operation == "-") {
    fails = __builtin_sub_overflow(a, b, &result);
  } else if (operation == "*") {
    fails = __builtin_mul_overflow(a, b, &result);
  } else if (b == 0 || b == -1) {
    fails = b == 0 || __builtin_sub_overflow(std::int64_t{0}, a, &result);
    if (operation == "%") result = 0;
  } else {  // rounded down, as Python does
    const std::int64_t down = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
    result = operation == "%" ? a - down * b : down;
  }
  if (fails) {
    throw Error("[E331] The chat template divides by zero or leaves the range of numbers.");
  }
  return {result};
}

Text joined(Text a, const Text& b) {
  if (a.size() + b.size() > kLongest)
    throw Error("[E324] The model's chat template makes too long a text.");
  return a += b;
}

std::size_t index_of(const Value& key, std::size_t size) {
  const auto* at = key.as<std::int64_t>();
  if (at == nullptr) return size;
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t index = *at < 0 ? *at + count : *at;
  return index >= 0 && index < count ? static_cast<std::size_t>(index) : size;
}

/// The indices that Python's slice takes of `size` items.
std::vector<std::size_t> slice_indices(std::int64_t size, const Value& from, const Value& to,
                                       const Value& step) {
  const auto bound = [](const Value& value, std::int64_t otherwise) {
    if (value.as<None>() != nullptr) return otherwise;
    if (const auto* whole = value.as<std::int64_t>()) return *whole;
    throw Error("[E332] The chat template slices with {}.", {kind_of(value)});
  };
  const std::int64_t stride = bound(step, 1);
  if (stride == 0) throw Error("[E333] The chat template slices in steps of zero.");
  const std::int64_t low = stride > 0 ? 0 : -1;
  const std::int64_t high = stride > 0 ? size : size - 1;
  const auto clamp = [&](std::int64_t at) {
    return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, low, high);
  };
  const std::int64_t first = from.as<None>() ? (stride > 0 ? low : high) : clamp(bound(from, 0));
  const std::int64_t last = to.as<None>() ? (stride > 0 ? high : low) : clamp(bound(to, 0));
  std::vector<std::size_t> indices;
  for (std::int64_t at = first; stride > 0 ? at < last : at > last; at += stride) {
    indices.push_back(static_cast<std::size_t>(at));
    if (stride > size || stride < -size) break;  // also keeps `at` in range
  }
  return indices;
}

}  // namespace

void unsupported(const std::string& what) {
  throw Error(
      "[E321] The model's chat template uses {}, which is not supported; --template puts a "
      "question into a text of your own, and --raw completes a text.",
      {what});
}

Text text_of(std::string_view utf8, bool typed) {
  const std::string valid = valid_utf8(utf8);
  Text text;
  for (std::size_t at = 0; at < valid.size();) {
    text.push_back(next_code_point(valid, at) | (typed ? kTyped : 0));
  }
  return text;
}

std::string utf8_of(const Text& text) {
  std::string utf8;
  for (const char32_t unit : text) append_utf8(letter(unit), utf8);
  return utf8;
}

Value new_list(List items) { return {std::make_shared<List>(std::move(items))}; }
Value new_dict(Dict items) { return {std::make_shared<Dict>(std::move(items))}; }

bool truth(const Value& value) {
  if (const auto* flag = value.as<bool>()) return *flag;
  if (const auto* whole = value.as<std::int64_t>()) return *whole != 0;
  if (const auto* text = value.as<Text>()) return !text->empty();
  if (const List* list = value.list()) return !list->empty();
  if (const Dict* dict = value.dict()) return !dict->empty();
  return value.as<Function>() != nullptr;
}

Text print(const Value& value) {
  if (const auto* text = value.as<Text>()) return *text;
  if (const auto* flag = value.as<bool>()) return *flag ? U"True" : U"False";
  if (const auto* whole = value.as<std::int64_t>()) return text_of(std::to_string(*whole));
  if (value.as<Undefined>() != nullptr) return {};
  if (value.as<None>() != nullptr) return U"None";
  unsupported(message("the printed form of {}", {kind_of(value)}));
}

bool equal(const Value& a, const Value& b) {
  const auto *text = a.as<Text>(), *other = b.as<Text>();
  if (text != nullptr && other != nullptr) {
    return std::equal(text->begin(), text->end(), other->begin(), other->end(), same);
  }
  std::int64_t storage[2];
  const auto *x = number(a, storage[0]), *y = number(b, storage[1]);
  if (x != nullptr && y != nullptr) return *x == *y;
  if (a.list() != nullptr && b.list() != nullptr) {
    return std::equal(a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(),
                      equal);
  }
  if (a.dict() != nullptr && b.dict() != nullptr) unsupported(message("a comparison of mappings"));
  return a.is.index() == b.is.index() && (a.as<None>() || a.as<Undefined>());
}

bool contains(const Value& outer, const Value& inner) {
  if (const auto* text = outer.as<Text>()) {
    const auto* part = inner.as<Text>();
    if (part == nullptr) unsupported(message("the search for {} in a text", {kind_of(inner)}));
    return std::search(text->begin(), text->end(), part->begin(), part->end(), same) !=
               text->end() ||
           part->empty();
  }
  const List all = items(outer);
  return std::any_of(all.begin(), all.end(), [&](const Value& one) { return equal(one, inner); });
}

Value operate(std::string_view operation, const Value& a, const Value& b) {
  if (operation == "~") return {joined(print(a), print(b))};
  if (operation == "==" || operation == "!=") return {equal(a, b) == (operation == "==")};
  if (operation == "in" || operation == "not in") return {contains(b, a) == (operation == "in")};
  std::int64_t storage[2];
  const auto *x = number(a, storage[0]), *y = number(b, storage[1]);
  const auto *text = a.as<Text>(), *other = b.as<Text>();
  const bool compares = operation.front() == '<' || operation.front() == '>';
  if (compares && ((x && y) || (text && other))) {
    const int order = text ? compare(*text, *other) : *x < *y ? -1 : *x > *y ? 1 : 0;
    if (order == 0) return {operation.size() == 2};
    return {(order < 0) == (operation.front() == '<')};
  }
  if (!compares && x != nullptr && y != nullptr) return calculate(operation, *x, *y);
  if (operation == "+" && text != nullptr && other != nullptr) return {joined(*text, *other)};
  if (operation == "+" && a.list() != nullptr && b.list() != nullptr) {
    List list = *a.list();
    list.insert(list.end(), b.list()->begin(), b.list()->end());
    if (list.size() > kLongest) throw Error("[E334] The chat template makes too long a list.");
    return new_list(std::move(list));
  }
  for (const Value* side : {&a, &b}) {
    if (const auto* missing = side->as<Undefined>()) {
      throw Error("[E335] The chat template uses {}, which is not defined.",
                  {quote(missing->name)});
    }
  }
  unsupported(message("{} between {} and {}", {quote(operation), kind_of(a), kind_of(b)}));
}

Value item(const Value& value, const Value& key) {
  if (const Dict* dict = value.dict()) {
    for (const auto& [name, found] : *dict) {
      if (equal({name}, key)) return found;
    }
  } else if (const List* list = value.list()) {
    const std::size_t at = index_of(key, list->size());
    if (at < list->size()) return (*list)[at];
  } else if (const auto* text = value.as<Text>()) {
    const std::size_t at = index_of(key, text->size());
    if (at < text->size()) return {Text(1, (*text)[at])};
  } else if (const auto* missing = value.as<Undefined>()) {
    throw Error("[E328] The chat template looks into {}, which is not defined.",
                {quote(missing->name)});
  }
  const auto* name = key.as<Text>();
  return {Undefined{name != nullptr ? utf8_of(*name) : message("an item")}};
}

Value slice(const Value& value, const Value& from, const Value& to, const Value& step) {
  const auto* text = value.as<Text>();
  const List* list = value.list();
  if (text == nullptr && list == nullptr) {
    unsupported(message("a slice of {}", {kind_of(value)}));
  }
  const std::size_t size = text != nullptr ? text->size() : list->size();
  Text letters;
  List taken;
  for (const std::size_t at : slice_indices(static_cast<std::int64_t>(size), from, to, step)) {
    text != nullptr ? letters.push_back((*text)[at]) : taken.push_back((*list)[at]);
  }
  return text != nullptr ? Value{std::move(letters)} : new_list(std::move(taken));
}

List items(const Value& value) {
  if (const List* list = value.list()) return *list;
  List all;
  if (const Dict* dict = value.dict()) {
    for (const auto& entry : *dict) all.push_back({entry.first});
  } else if (const auto* text = value.as<Text>()) {
    for (const char32_t unit : *text) all.push_back({Text(1, unit)});
  } else if (value.as<Undefined>() == nullptr) {
    throw Error("[E336] The chat template goes through {} as if it were a list.", {kind_of(value)});
  }
  return all;
}

}  // namespace aira::jinja
