// Untrusted JSON: strict parsing, and typed reading of an object's keys. Every failure is an Error
// that names the file, the key, what was expected and what was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aira {

/// Reads the content of an object or list in place of parse_json. Gets the keys that lead to it
/// ("" for an element of a list) and the byte behind its opening bracket; returns where its closing
/// bracket is, or `at` to leave it to parse_json.
using ReadContent =
    std::function<std::size_t(const std::vector<std::string>& path, std::size_t at)>;

/// Parses `text` (RFC 8259). Refused with an Error that begins with `where`: invalid JSON or UTF-8,
/// numbers out of double's range, the same key twice in an object, nesting deeper than 32, more
/// than four million values, more than 100 MB. What `read` takes is empty in the result.
nlohmann::json parse_json(std::string_view text, const std::string& where,
                          const ReadContent& read = nullptr);

/// The same by the rules of Python's json, for files that Python programs write: of a key given
/// twice the last counts; NaN, Infinity and -Infinity are let through, as strings of these names;
/// a byte order mark is refused.
nlohmann::json parse_python_json(std::string_view text, const std::string& where);

/// "line 3, byte 17": the place of byte `at` of `text`, both counted from 1; "byte 17" in a text of
/// one line.
std::string position_in(std::string_view text, std::size_t at);

/// Both ends belong to the range.
struct IntegerRange {
  std::int64_t from;
  std::int64_t to;
};

/// Numbers above `above` and up to `to` (which belongs to it); `words` say so in messages.
struct NumberRange {
  double above;
  double to;
  const char* words;  // to_translate()
};

/// Reads keys of a JSON object, which must outlive this. A missing key and null both read as
/// nothing; where null makes no sense, `refuse_null` says so.
class JsonObject {
 public:
  /// Throws Error when `value` is not an object. `where` opens every message.
  JsonObject(const nlohmann::json& value, std::string where);

  /// The value of `key`; a null pointer when it is missing or null.
  const nlohmann::json* find(const std::string& key) const;
  void refuse_null(const std::string& key) const;

  std::optional<std::int64_t> integer(const std::string& key, IntegerRange range) const;
  std::optional<double> number(const std::string& key, NumberRange range) const;
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  /// A whole number, or a list of them.
  std::vector<std::int64_t> integers(const std::string& key, IntegerRange range) const;

  /// Throws: WHERE: "KEY" must be EXPECTED (in the user's language), but is FOUND.
  [[noreturn]] void fail(const std::string& key, const std::string& expected,
                         const nlohmann::json& found) const;

 private:
  template <typename T, typename Fits>
  std::optional<T> read(const std::string& key, const char* expected, Fits fits) const;

  const nlohmann::json& value_;
  std::string where_;
};

}  // namespace aira
