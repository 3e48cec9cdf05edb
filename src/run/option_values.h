// How each type of request option is read from a word or from a JSON value, and written as JSON.
// Readers return false for what is not of the type; they do not check ranges.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "aira/generate.h"

namespace aira {

using Biases = std::vector<std::pair<std::int32_t, float>>;

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

inline bool read_word(std::string_view word, Biases& biases) {
  const std::size_t equals = std::min(word.find('='), word.size());
  std::int32_t id = 0;
  double bias = 0;
  if (!read_word(word.substr(0, equals), id) || equals == word.size()) return false;
  if (!read_word(word.substr(equals + 1), bias)) return false;
  std::erase_if(biases,
                [&](const auto& earlier) { return earlier.first == id; });  // the last counts
  biases.emplace_back(id, static_cast<float>(bias));
  return true;
}

inline bool read_json(const nlohmann::json& json, bool& value) {
  return json.is_boolean() && (json.get_to(value), true);
}

inline bool read_json(const nlohmann::json& json, double& value) {
  return json.is_number() && (json.get_to(value), true);
}

/// Whole numbers.
template <typename Number>
bool read_json(const nlohmann::json& json, Number& value) {
  const bool fits = json.is_number_unsigned() ? std::in_range<Number>(json.get<std::uint64_t>())
                                              : json.is_number_integer() &&
                                                    std::in_range<Number>(json.get<std::int64_t>());
  return fits && (json.get_to(value), true);
}

inline bool read_json(const nlohmann::json& json, EarlyStopping& value) {
  return read_word(json.is_string() ? json.get<std::string>() : json.dump(), value);
}

/// A text, or a list of texts.
inline bool read_json(const nlohmann::json& json, std::vector<std::string>& list) {
  if (json.is_string()) return read_word(json.get_ref<const std::string&>(), list);
  return json.is_array() && std::all_of(json.begin(), json.end(), [&](const nlohmann::json& text) {
           return text.is_string() && read_word(text.get_ref<const std::string&>(), list);
         });
}

inline bool read_json(const nlohmann::json& json, Biases& biases) {
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

inline nlohmann::json to_json(const Biases& biases) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [id, bias] : biases) object[std::to_string(id)] = bias;
  return object;
}

inline bool is_valid(bool /*value*/) { return true; }
inline bool is_valid(EarlyStopping /*value*/) { return true; }
inline bool is_valid(const std::vector<std::string>& texts) {
  return std::none_of(texts.begin(), texts.end(), [](const auto& text) { return text.empty(); });
}
inline bool is_valid(const Biases& biases) {
  return std::all_of(biases.begin(), biases.end(), [](const auto& bias) {
    return bias.first >= 0 && std::isfinite(bias.second);
  });
}

}  // namespace aira
