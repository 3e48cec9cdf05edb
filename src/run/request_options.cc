#include "run/request_options.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "aira/error.h"
#include "base/printable.h"
#include "run/option_values.h"

namespace aira {
namespace {

using Generate = GenerateOptions;
using Sampling = SamplingOptions;

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
constexpr double kAboveZero = std::numeric_limits<double>::denorm_min();

constexpr OptionRange kSwitch = {to_translate("true or false")};
constexpr OptionRange kText = {to_translate("a text in UTF-8 that is not empty")};
constexpr OptionRange kFromOne = {to_translate("a whole number of at least 1"), 1, kUnlimited};
constexpr OptionRange kFromZero = {to_translate("a whole number of at least 0"), 0, kUnlimited};
constexpr OptionRange kSeed = {to_translate("a whole number from 0 to 18446744073709551615"), 0,
                               kUnlimited};
constexpr OptionRange kAnswers = {to_translate("a whole number from 1 to 1000000"), 1, 1e6};
constexpr OptionRange kAlternatives = {to_translate("a whole number from 0 to 1000"), 0, 1000};
constexpr OptionRange kBeams = {to_translate("a whole number from 1 to 4096"), 1, 4096};
constexpr OptionRange kTemperature = {to_translate("a number of at least 0"), 0, DBL_MAX};
constexpr OptionRange kShare = {to_translate("a number above 0 and at most 1"), kAboveZero, 1};
constexpr OptionRange kFraction = {to_translate("a number from 0 to 1"), 0, 1};
// The repetition penalty is applied in single precision.
constexpr OptionRange kPenalty = {to_translate("a number above 0"),
                                  std::numeric_limits<float>::denorm_min(), FLT_MAX};
constexpr OptionRange kFinite = {to_translate("a finite number"), -DBL_MAX, DBL_MAX};
constexpr OptionRange kWhen = {to_translate("true, false or never")};
constexpr OptionRange kBiases = {
    to_translate(R"(token ids with finite numbers, as 65=-1.5 or, in JSON, {"65": -1.5})")};
constexpr OptionRange kIds = {to_translate("token ids (5,9; in JSON [5, 9])")};
constexpr OptionRange kIdLists = {to_translate("lists of token ids (5,9; in JSON [[5, 9]])")};
constexpr OptionRange kIdBiases = {
    to_translate("token ids with finite numbers (5,9=-1.5; in JSON [[[5, 9], -1.5]])")};
constexpr OptionRange kDecay = {
    to_translate("a whole number and a finite one (15,1.6; in JSON [15, 1.6])")};

constexpr const char* kAnswerGroup = to_translate("Answers");

constexpr auto kOptions = std::to_array<RequestOption>({
    {"max_new_tokens", "", &Generate::max_new_tokens, "N", kFromOne, kSamplingGroup,
     to_translate("Maximum number of generated tokens")},
    {"max_length", "", &Generate::max_length, "N", kFromOne, kSamplingGroup,
     to_translate("Maximum number of tokens, the prompt's included")},
    {"temperature", "", &Sampling::temperature, "T", kTemperature, kSamplingGroup,
     to_translate("Sampling temperature; 0 = greedy")},
    {"top_k", "", &Sampling::top_k, "K", kFromZero, kSamplingGroup,
     to_translate("Keep the K most probable tokens; 0 = off")},
    {"top_p", "", &Sampling::top_p, "P", kFraction, kSamplingGroup,
     to_translate("Keep the most probable tokens up to a total of P; 1 = off")},
    {"min_p", "", &Sampling::min_p, "P", kFraction, kSamplingGroup,
     to_translate("Drop tokens less likely than P times the best one; 0 = off")},
    {"typical_p", "", &Sampling::typical_p, "P", kShare, kSamplingGroup,
     to_translate("Keep the most typical tokens up to a total of P; 1 = off")},
    {"epsilon_cutoff", "", &Sampling::epsilon_cutoff, "P", kFraction, kSamplingGroup,
     to_translate("Drop tokens less likely than P; 0 = off")},
    {"eta_cutoff", "", &Sampling::eta_cutoff, "P", kFraction, kSamplingGroup,
     to_translate("Drop tokens less likely than P or the entropy allows; 0 = off")},
    {"repetition_penalty", "", &Sampling::repetition_penalty, "R", kPenalty, kSamplingGroup,
     to_translate("Penalty for tokens already in the text; 1 = off")},
    {"presence_penalty", "", &Sampling::presence_penalty, "P", kFinite, kSamplingGroup,
     to_translate("Take P off the logits of tokens already generated; 0 = off")},
    {"frequency_penalty", "", &Sampling::frequency_penalty, "P", kFinite, kSamplingGroup,
     to_translate("The same for each time that a token was generated; 0 = off")},
    {"no_repeat_ngram_size", "", &Sampling::no_repeat_ngram_size, "N", kFromZero, kSamplingGroup,
     to_translate("Never repeat a sequence of N tokens; 0 = off")},
    {"min_new_tokens", "", &Sampling::min_new_tokens, "N", kFromZero, kSamplingGroup,
     to_translate("Minimum number of generated tokens")},
    {"min_length", "", &Generate::min_length, "N", kFromZero, kSamplingGroup,
     to_translate("Minimum number of tokens, the prompt's included")},
    {"greedy", "", &Sampling::greedy, "", kSwitch, kSamplingGroup, to_translate("Greedy decoding")},
    {"do_sample", "", &Sampling::greedy, "", kSwitch, kSamplingGroup,
     to_translate("Sampling, even from a model that is greedy by default"), true},
    {"seed", "", &Generate::seed, "N", kSeed, kAnswerGroup,
     to_translate("Random seed (drawn once per run)")},
    {"num_return_sequences", "-n", &Generate::answers, "N", kAnswers, kAnswerGroup,
     to_translate("Answers per question")},
    {"best_of", "", &Generate::best_of, "N", kAnswers, kAnswerGroup,
     to_translate("Sample N answers, keep the most probable; 1 = off")},
    {"stop", "--stop-strings", &Generate::stop, "TEXT", kText, kAnswerGroup,
     to_translate("End the answer before TEXT; may be repeated")},
    {"eos_token_id", "", &Generate::eos_token_id, "ID", kIds, kAnswerGroup,
     to_translate("End the answer with token ID, in place of the model's own")},
    {"stop_on_loop", "", &Generate::stop_on_loop, "", kSwitch, kAnswerGroup,
     to_translate("End an answer that repeats itself")},
    {"bad_words", "", &Generate::bad_words, "TEXT", kText, kAnswerGroup,
     to_translate("Never generate TEXT; may be repeated")},
    {"bad_words_ids", "", &Sampling::bad_words, "IDS", kIdLists, kAnswerGroup,
     to_translate("Never generate these tokens in a row; may be repeated")},
    {"suppress_tokens", "", &Sampling::suppress_tokens, "IDS", kIds, kAnswerGroup,
     to_translate("Never generate one of these tokens")},
    {"begin_suppress_tokens", "", &Sampling::begin_suppress_tokens, "IDS", kIds, kAnswerGroup,
     to_translate("Never begin with one of these tokens")},
    {"forced_bos_token_id", "", &Sampling::forced_bos_token_id, "ID", kIds, kAnswerGroup,
     to_translate("Begin with token ID after a prompt of one token")},
    {"forced_eos_token_id", "", &Sampling::forced_eos_token_id, "ID", kIds, kAnswerGroup,
     to_translate("End an answer of maximum length with token ID")},
    {"logit_bias", "", &Sampling::logit_bias, "ID=BIAS", kBiases, kAnswerGroup,
     to_translate("Add BIAS to the logit of token ID; may be repeated")},
    {"sequence_bias", "", &Sampling::sequence_bias, "IDS=BIAS", kIdBiases, kAnswerGroup,
     to_translate("Add BIAS to the last of these tokens after the others")},
    {"exponential_decay_length_penalty", "", &Sampling::exponential_decay_length_penalty, "N,F",
     kDecay, kAnswerGroup, to_translate("After N tokens make the end likelier by powers of F")},
    {"logprobs", "", &Generate::logprobs, "K", kAlternatives, kAnswerGroup,
     to_translate("JSON lines: log-probability of each token and of the top K")},
    {"num_beams", "", &Generate::num_beams, "N", kBeams, kBeamGroup,
     to_translate("Beam search with N beams instead of sampling; 1 = off")},
    {"length_penalty", "", &Generate::length_penalty, "P", kFinite, kBeamGroup,
     to_translate("Above 0 favours long answers")},
    {"early_stopping", "", &Generate::early_stopping, "WHEN", kWhen, kBeamGroup,
     to_translate("true, false or never, as in transformers")},
    {"renormalize_logits", "", &Sampling::renormalize_logits, "", kSwitch, kBeamGroup,
     to_translate("Renormalize log-probabilities after all processors")},
});

template <typename Value>
bool accepts(const OptionRange& range, const Value& value) {
  if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>) {
    return static_cast<double>(value) >= range.from && static_cast<double>(value) <= range.to;
  } else {
    return is_valid(value);
  }
}

/// Whether a value asks for something: numbers have one that does not.
template <typename Value>
bool is_on(std::string_view name, const Value& value) {
  if constexpr (std::is_same_v<Value, bool>) {
    return value;
  } else if constexpr (std::is_same_v<Value, EarlyStopping>) {
    return value != EarlyStopping::kFalse;
  } else if constexpr (std::is_arithmetic_v<Value>) {
    constexpr std::array<std::string_view, 5> kOffAtOne = {"top_p", "typical_p", "best_of",
                                                           "num_beams", "length_penalty"};
    const bool one = std::find(kOffAtOne.begin(), kOffAtOne.end(), name) != kOffAtOne.end();
    return name == "logprobs" || value != static_cast<Value>(one ? 1 : 0);
  } else {
    return true;
  }
}

[[noreturn]] void refuse(const RequestOption& row, const std::string& found) {
  throw UsageError("[E034] {} must be {}, not {}.",
                   {option(row.name), message(row.range.words), found});
}

std::string flag_of(std::string_view name) {
  std::string text = "--" + std::string(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

template <typename Value>
std::string in_words(const Value& value) {
  if constexpr (std::is_same_v<Value, double>) {
    if (!std::isfinite(value)) return std::to_string(value);  // JSON has no such numbers
  }
  return printable(to_json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                   120);
}

}  // namespace

std::string RequestOption::flag() const { return flag_of(name); }

std::string RequestOption::flags(const char* separator) const {
  if (*other_flag == '\0') return flag();
  const bool is_short = other_flag[1] != '-';  // which goes first
  return is_short ? other_flag + (separator + flag()) : flag() + separator + other_flag;
}

nlohmann::json RequestOption::value(const GenerateOptions& options) const {
  const auto write = [&](const auto& place) {
    const auto& held = place.of(options);
    return accepts(range, held) ? to_json(held) : nlohmann::json(nullptr);
  };
  const nlohmann::json held = std::visit(write, member);
  return opposite ? nlohmann::json(!held.get<bool>()) : held;
}

std::string RequestOption::default_text() const {
  const bool shown = std::holds_alternative<Member<std::int64_t>>(member) ||
                     std::holds_alternative<Member<double>>(member) ||
                     std::holds_alternative<Member<EarlyStopping>>(member);
  const nlohmann::json json = value({});
  return shown && !json.is_null() ? json.dump() : std::string();
}

std::span<const RequestOption> request_options() { return kOptions; }

const RequestOption* find_request_option(std::string_view name) {
  const auto* const row =
      std::find_if(kOptions.begin(), kOptions.end(), [&](const RequestOption& one) {
        return one.name == name || one.other_flag == flag_of(name);
      });
  return row == kOptions.end() ? nullptr : row;
}

const RequestOption& request_option(std::string_view name) {
  if (const RequestOption* row = find_request_option(name)) return *row;
  const std::string similar = similar_option(name);
  if (similar.empty()) throw UsageError("[E230] There is no request option {}.", {quote(name)});
  throw UsageError("[E231] There is no request option {}; the nearest is {}.",
                   {quote(name), option(similar)});
}

/// Sets the option to `value`; false when that is not legal.
template <typename Value>
bool RequestChanges::take(const RequestOption& option, const Member<Value>& member, Value value,
                          std::string written) {
  if (!accepts(option.range, value)) return false;
  given_.push_back({&option, source_, is_on(option.name, value), std::move(written)});
  if constexpr (std::is_same_v<Value, bool>) value = value != option.opposite;
  member.of(values_) = std::move(value);
  return true;
}

void RequestChanges::set_words(const RequestOption& option, std::span<const std::string> words) {
  const auto set = [&]<typename T>(const Member<T>& member) {
    T value{};
    for (const std::string& word : words) {
      if (!read_word(word, value) || !accepts(option.range, value)) refuse(option, quote(word));
    }
    take(option, member, std::move(value), printable(words.back()));
  };
  std::visit(set, option.member);
}

bool RequestChanges::try_field(const RequestOption& option, const nlohmann::json& json) {
  const auto set = [&]<typename T>(const Member<T>& member) {
    T value{};
    return read_json(json, value) && take(option, member, std::move(value), in_words(json));
  };
  return std::visit(set, option.member);
}

void RequestChanges::set_field(const RequestOption& option, const nlohmann::json& json) {
  if (!try_field(option, json)) refuse(option, in_words(json));
}

void GenerateOptions::validate() const {
  static const GenerateOptions kDefaults;
  for (const RequestOption& row : kOptions) {
    const auto check = [&](const auto& place) {
      const auto& value = place.of(*this);
      if (!accepts(row.range, value) && value != place.of(kDefaults)) refuse(row, in_words(value));
    };
    std::visit(check, row.member);
  }
  if (best_of > 1 && best_of < answers) {
    throw UsageError("[E239] {} {} cannot give {} answers; {} must not be larger.",
                     {option("best_of"), std::to_string(best_of), std::to_string(answers),
                      option("num_return_sequences")});
  }
  if (num_beams == 1) return;
  if (answers > num_beams) {
    throw UsageError("[E240] {} must be at most {}, {}, not {}.",
                     {option("num_return_sequences"), option("num_beams"),
                      std::to_string(num_beams), std::to_string(answers)});
  }
  const char* other = best_of > 1     ? "best_of"
                      : logprobs >= 0 ? "logprobs"
                      : stop_on_loop  ? "stop_on_loop"
                                      : nullptr;
  if (other != nullptr) {
    throw UsageError("[E241] {} does not go with {}.", {option(other), option("num_beams")});
  }
}

}  // namespace aira
