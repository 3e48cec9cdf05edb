// The types of the settings and the ranges of whole numbers; the ranges of the sampling numbers are
// GenerateOptions::validate's.
#include "app/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostAnswers = 1'000'000;
constexpr std::int64_t kMostLogprobs = 1000;
constexpr std::int64_t kMostBeams = 4096;

/// "--top-k" of "top_k": messages name options as the command line does.
std::string flag(std::string_view name) {
  std::string text = "--" + std::string(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

[[noreturn]] void fail(std::string_view name, const std::string& expected, const json& value) {
  const std::string found =
      value.is_string()
          ? quote(value.get_ref<const std::string&>())
          : printable(value.dump(-1, ' ', false, json::error_handler_t::replace), 120);
  throw UsageError(flag(name) + " must be " + expected + ", not " + found + ".");
}

double number(std::string_view name, const json& value) {
  if (!value.is_number()) fail(name, "a number", value);
  return value.get<double>();
}

std::int64_t integer(std::string_view name, const json& value, std::int64_t from, std::int64_t to) {
  const bool fits =
      value.is_number_integer() &&
      (!value.is_number_unsigned() ||
       value.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  const std::int64_t whole = fits ? value.get<std::int64_t>() : 0;
  if (fits && whole >= from && whole <= to) return whole;
  const bool open = to == std::numeric_limits<std::int64_t>::max();
  fail(name,
       "a whole number " + (open ? "of at least " + std::to_string(from)
                                 : "from " + std::to_string(from) + " to " + std::to_string(to)),
       value);
}

bool boolean(std::string_view name, const json& value) {
  if (!value.is_boolean()) fail(name, "true or false", value);
  return value.get<bool>();
}

std::uint64_t seed(std::string_view name, const json& value) {
  if (!value.is_number_unsigned()) {
    fail(name, "a whole number from 0 to 18446744073709551615", value);
  }
  return value.get<std::uint64_t>();
}

std::vector<std::string> texts(std::string_view name, const json& value) {
  const json list = value.is_array() ? value : json::array({value});
  std::vector<std::string> result;
  for (const json& element : list) {
    if (!element.is_string() || element.get_ref<const std::string&>().empty()) {
      fail(name, "a text that is not empty", element);
    }
    result.push_back(element.get<std::string>());
  }
  return result;
}

template <typename Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// true, false and "never", as transformers has them; on a command line all of them are texts.
EarlyStopping early_stopping(std::string_view name, const json& value) {
  if (value == true || value == "true") return EarlyStopping::kTrue;
  if (value == false || value == "false") return EarlyStopping::kFalse;
  if (value == "never") return EarlyStopping::kNever;
  fail(name, "true, false or never", value);
}

json to_json(EarlyStopping value) {
  if (value == EarlyStopping::kNever) return "never";
  return value == EarlyStopping::kTrue;
}

/// {"17": -1.5, ...}
std::vector<std::pair<std::int32_t, float>> biases(std::string_view name, const json& value) {
  if (!value.is_object()) fail(name, "an object of token ids and numbers", value);
  std::vector<std::pair<std::int32_t, float>> result;
  for (const auto& [key, bias] : value.items()) {
    const auto id = parse_whole<std::int32_t>(key);
    if (!id || *id < 0 || !bias.is_number()) {
      fail(name, "an object of token ids and numbers", value);
    }
    result.emplace_back(*id, bias.get<float>());
  }
  return result;
}

json to_json(const std::vector<std::pair<std::int32_t, float>>& biases) {
  json result = json::object();
  for (const auto& [id, bias] : biases) result[std::to_string(id)] = bias;
  return result;
}

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

void set(GenerateOptions& generate, std::string_view name, const json& value) {
  SamplingOptions& sampling = generate.sampling;
  if (name == "max_new_tokens") {
    generate.max_new_tokens = integer(name, value, 1, kNoLimit);
  } else if (name == "temperature") {
    sampling.temperature = number(name, value);
  } else if (name == "top_k") {
    sampling.top_k = integer(name, value, 0, kNoLimit);
  } else if (name == "top_p") {
    sampling.top_p = number(name, value);
  } else if (name == "repetition_penalty") {
    sampling.repetition_penalty = number(name, value);
  } else if (name == "min_p") {
    sampling.min_p = number(name, value);
  } else if (name == "typical_p") {
    sampling.typical_p = number(name, value);
  } else if (name == "no_repeat_ngram_size") {
    sampling.no_repeat_ngram_size = integer(name, value, 0, kNoLimit);
  } else if (name == "min_new_tokens") {
    sampling.min_new_tokens = integer(name, value, 0, kNoLimit);
  } else if (name == "renormalize_logits") {
    sampling.renormalize_logits = boolean(name, value);
  } else if (name == "logit_bias") {
    sampling.logit_bias = biases(name, value);
  } else if (name == "bad_words") {
    generate.bad_words = texts(name, value);
  } else if (name == "greedy") {
    sampling.greedy = boolean(name, value);
  } else if (name == "seed") {
    generate.seed = seed(name, value);
  } else if (name == "stop") {
    generate.stop = texts(name, value);
  } else if (name == "num_return_sequences") {
    generate.answers = integer(name, value, 1, kMostAnswers);
  } else if (name == "num_beams") {
    generate.num_beams = integer(name, value, 1, kMostBeams);
  } else if (name == "length_penalty") {
    generate.length_penalty = number(name, value);
  } else if (name == "early_stopping") {
    generate.early_stopping = early_stopping(name, value);
  } else if (name == "best_of") {
    generate.best_of = integer(name, value, 1, kMostAnswers);
  } else if (name == "stop_on_loop") {
    generate.stop_on_loop = boolean(name, value);
  } else if (name == "logprobs") {
    generate.logprobs = integer(name, value, 0, kMostLogprobs);
  } else {
    throw UsageError("There is no sampling option " + quote(name) + ".");
  }
}

}  // namespace

json typed_value(std::string_view text) {
  if (const auto value = parse_whole<std::uint64_t>(text)) return *value;
  if (const auto value = parse_whole<std::int64_t>(text)) return *value;
  if (const auto value = parse_whole<double>(text)) return *value;
  return std::string(text);
}

GenerateOptions with_settings(const Settings& settings, GenerateOptions options) {
  const auto samples = [](const Setting& setting) {
    constexpr std::array<std::string_view, 5> kNames = {"temperature", "top_k", "top_p", "min_p",
                                                        "typical_p"};
    return std::find(kNames.begin(), kNames.end(), setting.first) != kNames.end();
  };
  if (std::any_of(settings.begin(), settings.end(), samples)) options.sampling.greedy = false;
  for (const auto& [name, value] : settings) set(options, name, value);
  options.validate();
  return options;
}

nlohmann::ordered_json to_json(const GenerateOptions& generate) {
  const SamplingOptions& sampling = generate.sampling;
  return {{"max_new_tokens", generate.max_new_tokens},
          {"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"typical_p", sampling.typical_p},
          {"repetition_penalty", sampling.repetition_penalty},
          {"no_repeat_ngram_size", sampling.no_repeat_ngram_size},
          {"min_new_tokens", sampling.min_new_tokens},
          {"renormalize_logits", sampling.renormalize_logits},
          {"logit_bias", to_json(sampling.logit_bias)},
          {"greedy", sampling.greedy},
          {"seed", generate.seed},
          {"stop", generate.stop},
          {"bad_words", generate.bad_words},
          {"stop_on_loop", generate.stop_on_loop},
          {"num_return_sequences", generate.answers},
          {"best_of", generate.best_of},
          {"num_beams", generate.num_beams},
          {"length_penalty", generate.length_penalty},
          {"early_stopping", to_json(generate.early_stopping)}};
}

}  // namespace aira
