// nlohmann::json does the parsing. What builds the value bounds depth and size and sees every key,
// so that a key given twice is an error and not "the last one wins", unless Python's rules are
// asked for.
#include "base/json.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = 100'000'000;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxValues = 4'000'000;

/// Reads from a place that may be moved meanwhile.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  reference operator*() const { return **at; }
  Cursor& operator++() { return ++*at, *this; }
  bool operator==(const Cursor& other) const { return *at == *other.at; }

  const char** at;
};

/// Builds the value while nlohmann::json parses (its SAX interface). The library's own way to watch
/// a parse, a callback, walks all siblings at the end of each object.
class Builder {
 public:
  Builder(std::string_view text, const std::string& where, const ReadContent& read,
          bool last_counts)
      : text_(text), where_(where), read_(read), last_counts_(last_counts), at_(text.data()) {}

  json parse() {
    const char* end = text_.data() + text_.size();
    json::sax_parse(Cursor{&at_}, Cursor{&end}, this);
    return std::move(root_);
  }
  /// Bytes that the parser has not seen.
  std::size_t skipped() const { return skipped_; }

  // What the parser calls; true: go on.
  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& /*written*/) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(json::binary_t& /*value*/) { return false; }  // not in text
  bool start_object(std::size_t /*size*/) { return begin(json::object()); }
  bool start_array(std::size_t /*size*/) { return begin(json::array()); }
  bool end_object() { return end(); }
  bool end_array() { return end(); }
  bool key(std::string& name) {
    count();
    path_.back() = name;
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!is_new && !last_counts_) {
      throw Error("[E302] {} has {} twice in one JSON object.", {where_, quote(name)});
    }
    value_ = &place->second;
    return true;
  }
  template <typename Problem>
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/, const Problem& problem) {
    throw problem;
  }

 private:
  void count() {
    if (++events_ > kMaxValues) {
      throw Error("[E300] {} holds too many JSON values.", {where_});
    }
  }
  /// Where the value goes that comes now.
  json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *value_;
    return open_.back()->emplace_back();
  }
  bool add(json value) {
    count();
    place() = std::move(value);
    return true;
  }
  bool begin(json empty) {
    count();
    if (open_.size() == kMaxDepth) {
      throw Error("[E301] {} is JSON nested deeper than {} levels.",
                  {where_, std::to_string(kMaxDepth)});
    }
    if (read_) {
      const auto from = static_cast<std::size_t>(at_ - text_.data());
      const std::size_t to = read_(path_, from);
      at_ += to - from;
      skipped_ += to - from;
    }
    json& made = place();
    made = std::move(empty);
    open_.push_back(&made);
    path_.emplace_back();
    return true;
  }
  bool end() {
    count();
    open_.pop_back();
    path_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& where_;
  const ReadContent& read_;
  bool last_counts_;
  const char* at_;
  std::size_t skipped_ = 0;
  json root_;
  std::vector<json*> open_;        // the objects and lists that have not ended
  std::vector<std::string> path_;  // of each, the key that was read last; "" in a list
  json* value_ = nullptr;          // of the last key
  std::size_t events_ = 0;
};

std::string describe(const json& value) {
  if (value.is_object()) return message("an object");
  if (value.is_array()) return message("a list");
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  return value.dump();
}

bool is_integer_in(const json& value, IntegerRange range) {
  if (!value.is_number_integer()) return false;
  const auto number = value.get<std::int64_t>();
  // An unsigned number beyond int64 wraps.
  if (value.is_number_unsigned() && number < 0) return false;
  return number >= range.from && number <= range.to;
}

std::string words(IntegerRange range) {
  return message("a whole number from {} to {}",
                 {std::to_string(range.from), std::to_string(range.to)});
}

/// `text` with NaN, Infinity and -Infinity between quotes.
std::string with_quoted_constants(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool in_string = false;
  while (!text.empty()) {
    std::size_t length = in_string && text.front() == '\\' ? 2 : 1;
    if (text.front() == '"') in_string = !in_string;
    bool constant = false;
    for (const std::string_view name : {"NaN", "Infinity", "-Infinity"}) {
      if (in_string || !text.starts_with(name)) continue;
      constant = true;
      length = name.size();
    }
    const std::string_view token = text.substr(0, length);
    constant ? result.append(1, '"').append(token).append(1, '"') : result.append(token);
    text.remove_prefix(token.size());
  }
  return result;
}

json parse(std::string_view text, const std::string& where, const ReadContent& read,
           bool last_counts) {
  if (text.size() > kMaxBytes) throw Error("[E303] {} is too long for JSON of its kind.", {where});
  // The library takes a NUL for the end.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw Error("[E305] {} is not valid JSON ({}).", {where, position_in(text, nul)});
  }
  Builder builder(text, where, read, last_counts);
  try {
    return builder.parse();
  } catch (const json::parse_error& error) {
    const bool utf8 = std::string_view(error.what()).find("UTF-8") != std::string_view::npos;
    const std::size_t at = builder.skipped() + std::max<std::size_t>(error.byte, 1) - 1;
    if (utf8) throw Error("[E304] {} is not valid UTF-8 ({}).", {where, position_in(text, at)});
    throw Error("[E305] {} is not valid JSON ({}).", {where, position_in(text, at)});
  } catch (const json::out_of_range&) {
    throw Error("[E306] {} holds a number that is too large for a double.", {where});
  }
}

}  // namespace

json parse_json(std::string_view text, const std::string& where, const ReadContent& read) {
  return parse(text, where, read, false);
}

json parse_python_json(std::string_view text, const std::string& where) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    throw Error(
        "[E307] {} begins with a byte order mark, which transformers refuses as well; save it as "
        "UTF-8 without one.",
        {where});
  }
  return parse(with_quoted_constants(text), where, nullptr, true);
}

std::string position_in(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  if (text.find('\n') == std::string_view::npos) return "byte " + std::to_string(at + 1);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = lines == 0 ? 0 : before.rfind('\n') + 1;
  return message("line {}, byte {}",
                 {std::to_string(lines + 1), std::to_string(before.size() - line_start + 1)});
}

JsonObject::JsonObject(const json& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value.is_object()) {
    throw Error("[E308] {} must be a JSON object, but is {}.", {where_, describe(value)});
  }
}

const json* JsonObject::find(const std::string& key) const {
  const auto found = value_.find(key);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

void JsonObject::refuse_null(const std::string& key) const {
  if (value_.contains(key) && value_[key].is_null()) {
    fail(key, message("set"), value_[key]);
  }
}

template <typename T, typename Fits>
std::optional<T> JsonObject::read(const std::string& key, const char* expected, Fits fits) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!fits(*value)) fail(key, message(expected), *value);
  return value->get<T>();
}

std::optional<std::int64_t> JsonObject::integer(const std::string& key, IntegerRange range) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!is_integer_in(*value, range)) fail(key, words(range), *value);
  return value->get<std::int64_t>();
}

std::optional<double> JsonObject::number(const std::string& key, NumberRange range) const {
  return read<double>(key, range.words, [range](const json& value) {
    return value.is_number() && value.get<double>() > range.above &&
           value.get<double>() <= range.to;
  });
}

std::optional<bool> JsonObject::boolean(const std::string& key) const {
  return read<bool>(key, to_translate("true or false"),
                    [](const json& value) { return value.is_boolean(); });
}

std::optional<std::string> JsonObject::text(const std::string& key) const {
  return read<std::string>(key, to_translate("a string"),
                           [](const json& value) { return value.is_string(); });
}

std::vector<std::int64_t> JsonObject::integers(const std::string& key, IntegerRange range) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  const json list = value->is_array() ? *value : json::array({*value});
  std::vector<std::int64_t> numbers;
  for (const json& element : list) {
    if (!is_integer_in(element, range))
      fail(key, message("{} or a list of such", {words(range)}), element);
    numbers.push_back(element.get<std::int64_t>());
  }
  return numbers;
}

void JsonObject::fail(const std::string& key, const std::string& expected,
                      const json& found) const {
  throw Error("[E309] {}: {} must be {}, but is {}.",
              {where_, quote(key), expected, describe(found)});
}

}  // namespace aira
