// nlohmann::json does the parsing; its callback bounds depth and size and sees every key, so that
// a key given twice is an error and not "the last one wins".
#include "base/json.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = 100'000'000;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxValues = 4'000'000;

/// Watches a parse as it goes; keys_ holds one set per open object or list.
class Watch {
 public:
  explicit Watch(const std::string& where) : where_(where) {}

  bool operator()(int /*depth*/, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (keys_.size() == kMaxDepth) {
          throw Error(where_ + " is JSON nested deeper than " + std::to_string(kMaxDepth) +
                      " levels.");
        }
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key:
        add_key(parsed.get_ref<const std::string&>());
        break;
      case json::parse_event_t::value:
        break;
    }
    if (++events_ > kMaxValues) throw Error(where_ + " holds too many JSON values.");
    return true;
  }

 private:
  void add_key(const std::string& key) {
    if (!keys_.back().insert(key).second) {
      throw Error(where_ + " has " + quote(key) + " twice in one JSON object.");
    }
  }

  const std::string& where_;
  std::vector<std::set<std::string>> keys_;
  std::size_t events_ = 0;
};

std::string describe(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  return value.dump();
}

bool is_integer_in(const json& value, IntegerRange range) {
  // An unsigned number beyond int64 would wrap in get<int64_t>.
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return false;
  }
  if (!value.is_number_integer()) return false;
  const auto number = value.get<std::int64_t>();
  return number >= range.from && number <= range.to;
}

std::string words(IntegerRange range) {
  return "a whole number from " + std::to_string(range.from) + " to " + std::to_string(range.to);
}

}  // namespace

json parse_json(std::string_view text, const std::string& where) {
  if (text.size() > kMaxBytes) throw Error(where + " is too long for JSON of its kind.");
  try {
    return json::parse(text.begin(), text.end(), Watch(where));
  } catch (const json::parse_error& error) {
    const bool utf8 = std::string_view(error.what()).find("UTF-8") != std::string_view::npos;
    throw Error(where + (utf8 ? " is not valid UTF-8 (" : " is not valid JSON (") +
                position_in(text, error.byte == 0 ? 0 : error.byte - 1) + ").");
  } catch (const json::out_of_range&) {
    throw Error(where + " holds a number that is too large for a double.");
  }
}

std::string position_in(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = lines == 0 ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(lines + 1) + ", byte " +
         std::to_string(before.size() - line_start + 1);
}

JsonObject::JsonObject(const json& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value.is_object()) {
    throw Error(where_ + " must be a JSON object, but is " + describe(value) + ".");
  }
}

const json* JsonObject::find(const std::string& key) const {
  const auto found = value_.find(key);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

void JsonObject::refuse_null(const std::string& key) const {
  if (value_.contains(key) && value_[key].is_null()) fail(key, "set", value_[key]);
}

std::optional<std::int64_t> JsonObject::integer(const std::string& key, IntegerRange range) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!is_integer_in(*value, range)) fail(key, words(range), *value);
  return value->get<std::int64_t>();
}

std::optional<double> JsonObject::number(const std::string& key, NumberRange range) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail(key, range.words, *value);
  const auto number = value->get<double>();
  if (!(number > range.above && number <= range.to)) fail(key, range.words, *value);
  return number;
}

std::optional<bool> JsonObject::boolean(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail(key, "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> JsonObject::text(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail(key, "a string", *value);
  return value->get<std::string>();
}

std::vector<std::int64_t> JsonObject::integers(const std::string& key, IntegerRange range) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) {
    if (!is_integer_in(*value, range)) fail(key, words(range) + " or a list of such", *value);
    return {value->get<std::int64_t>()};
  }
  std::vector<std::int64_t> numbers;
  for (const json& element : *value) {
    if (!is_integer_in(element, range)) fail(key, words(range) + " or a list of such", element);
    numbers.push_back(element.get<std::int64_t>());
  }
  return numbers;
}

void JsonObject::fail(const std::string& key, const std::string& expected,
                      const json& found) const {
  throw Error(where_ + ": " + quote(key) + " must be " + expected + ", but is " + describe(found) +
              ".");
}

}  // namespace aira
