// How each type of request option is read from a word or from a JSON value, and written as JSON.
// Readers return false for what is not of the type; they do not check ranges.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "aira/generate.h"
#include "base/utf8.h"

namespace aira {

using Ids = std::vector<std::int32_t>;
/// What is added to the logit of an id, or of the last of several.
template <typename Key>
using BiasesOf = std::vector<std::pair<Key, float>>;

/// Of the biases of one key the last counts.
template <typename Key>
void keep_last(BiasesOf<Key>& biases) {
  std::set<Key> seen;
  std::reverse(biases.begin(), biases.end());
  std::erase_if(biases, [&](const auto& bias) { return !seen.insert(bias.first).second; });
  std::reverse(biases.begin(), biases.end());
}

template <typename Number>
bool read_word(std::string_view word, Number& number) {
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), number);
  return problem == std::errc() && end == word.data() + word.size();
}

inline bool read_word(std::string_view word, bool& value) {
  value = word == "true";
  return value || word == "false";
}

inline bool read_word(std::string_view word, EarlyStopping& value) {
  value = word == "true"    ? EarlyStopping::kTrue
          : word == "never" ? EarlyStopping::kNever
                            : EarlyStopping::kFalse;
  return value != EarlyStopping::kFalse || word == "false";
}

inline bool read_word(std::string_view word, std::vector<std::string>& list) {
  list.emplace_back(word);
  return true;
}

/// "5" or "5,9"
inline bool read_word(std::string_view word, Ids& ids) {
  const std::size_t comma = std::min(word.find(','), word.size());
  return read_word(word.substr(0, comma), ids.emplace_back()) &&
         (comma == word.size() || read_word(word.substr(comma + 1), ids));
}

inline bool read_word(std::string_view word, std::vector<Ids>& list) {
  return read_word(word, list.emplace_back());
}

/// "15,1.6"
inline bool read_word(std::string_view word, std::pair<std::int64_t, double>& pair) {
  const std::size_t comma = std::min(word.find(','), word.size());
  return comma < word.size() && read_word(word.substr(0, comma), pair.first) &&
         read_word(word.substr(comma + 1), pair.second);
}

/// "65=-1.5" or "5,9=-1.5"
template <typename Key>
bool read_word(std::string_view word, BiasesOf<Key>& biases) {
  const std::size_t equals = std::min(word.find('='), word.size());
  Key key{};
  double bias = 0;
  if (!read_word(word.substr(0, equals), key) || equals == word.size()) return false;
  if (!read_word(word.substr(equals + 1), bias)) return false;
  biases.emplace_back(std::move(key), static_cast<float>(bias));
  keep_last(biases);
  return true;
}

inline bool read_json(const nlohmann::json& json, bool& value) {
  return json.is_boolean() && (json.get_to(value), true);
}

inline bool read_json(const nlohmann::json& json, double& value) {
  return json.is_number() && (json.get_to(value), true);
}

/// Whole numbers.
template <std::integral Number>
bool read_json(const nlohmann::json& json, Number& value) {
  const bool fits = json.is_number_unsigned() ? std::in_range<Number>(json.get<std::uint64_t>())
                                              : json.is_number_integer() &&
                                                    std::in_range<Number>(json.get<std::int64_t>());
  return fits && (json.get_to(value), true);
}

inline bool read_json(const nlohmann::json& json, EarlyStopping& value) {
  return read_word(json.is_string() ? json.get<std::string>() : json.dump(), value);
}

inline bool read_json(const nlohmann::json& json, std::string& text) {
  return json.is_string() && (json.get_to(text), true);
}

template <typename Element>
bool read_json(const nlohmann::json& json, std::vector<Element>& list);

template <typename First, typename Second>
bool read_json(const nlohmann::json& json, std::pair<First, Second>& pair) {
  return json.is_array() && json.size() == 2 && read_json(json[0], pair.first) &&
         read_json(json[1], pair.second);
}

/// A list, or its only element.
template <typename Element>
bool read_json(const nlohmann::json& json, std::vector<Element>& list) {
  if (!json.is_array()) return read_json(json, list.emplace_back());
  return std::all_of(json.begin(), json.end(), [&](const nlohmann::json& element) {
    return read_json(element, list.emplace_back());
  });
}

inline bool read_json(const nlohmann::json& json, BiasesOf<Ids>& biases) {
  std::vector<std::pair<Ids, double>> list;
  if (!json.is_array() || !read_json(json, list)) return false;
  for (const auto& [ids, bias] : list) biases.emplace_back(ids, static_cast<float>(bias));
  keep_last(biases);
  return true;
}

inline bool read_json(const nlohmann::json& json, BiasesOf<std::int32_t>& biases) {
  if (!json.is_object()) return false;
  for (const auto& [key, bias] : json.items()) {
    std::int32_t id = 0;
    if (!read_word(key, id) || key != std::to_string(id) || !bias.is_number()) return false;
    biases.emplace_back(id, static_cast<float>(bias.get<double>()));
  }
  return true;
}

template <typename Value>
nlohmann::json to_json(const Value& value) {
  return value;
}

inline nlohmann::json to_json(EarlyStopping value) {
  if (value == EarlyStopping::kNever) return "never";
  return value == EarlyStopping::kTrue;
}

inline nlohmann::json to_json(const BiasesOf<std::int32_t>& biases) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [id, bias] : biases) object[std::to_string(id)] = bias;
  return object;
}

inline bool are_ids(std::int32_t id) { return id >= 0; }
inline bool are_ids(const Ids& ids) {
  return !ids.empty() && *std::min_element(ids.begin(), ids.end()) >= 0;
}

inline bool is_valid(bool /*value*/) { return true; }
inline bool is_valid(EarlyStopping /*value*/) { return true; }
/// Any number: an id that no token has never comes up.
inline bool is_valid(const Ids& /*ids*/) { return true; }
inline bool is_valid(const std::pair<std::int64_t, double>& pair) {
  return std::isfinite(pair.second);
}
inline bool is_valid(const std::vector<std::string>& texts) {
  return std::all_of(texts.begin(), texts.end(), [](const std::string& text) {
    return !text.empty() && valid_utf8(text) == text;
  });
}
inline bool is_valid(const std::vector<Ids>& lists) {
  return std::all_of(lists.begin(), lists.end(), [](const Ids& ids) { return are_ids(ids); });
}
template <typename Key>
bool is_valid(const BiasesOf<Key>& biases) {
  return std::all_of(biases.begin(), biases.end(), [](const auto& bias) {
    return are_ids(bias.first) && std::isfinite(bias.second);
  });
}

}  // namespace aira
