#include "random_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "run/request_options.h"
#include "tiny_model.h"

namespace aira::fuzz {
namespace {

using nlohmann::json;

std::int64_t any_whole(Choices& choices) {
  return choices.rarely(16) ? choices.any<std::int64_t>() : choices.number(0, 12);
}

double any_number(Choices& choices) {
  if (choices.rarely(16)) return choices.any<double>();
  const double number = choices.byte();
  return number / (choices.flag() ? 255 : 32);
}

std::int64_t any_id(Choices& choices) {
  return choices.rarely(32) ? choices.any<std::int32_t>() : choices.number(0, kTinyVocab - 1);
}

json any_ids(Choices& choices) {
  json ids = json::array();
  for (auto count = choices.number(0, 3); count > 0; --count) ids.push_back(any_id(choices));
  return ids;
}

template <typename Make>
json list_of(Choices& choices, const Make& make) {
  json list = json::array();
  for (auto count = choices.number(0, 3); count > 0; --count) list.push_back(make());
  return list;
}

/// A value for each kind of member, told apart by what the default looks like as JSON.
struct AnyValue {
  Choices& choices;

  json operator()(const Member<bool>& /*member*/) const { return choices.flag(); }
  json operator()(const Member<std::int64_t>& /*member*/) const { return any_whole(choices); }
  json operator()(const Member<std::uint64_t>& /*member*/) const {
    return choices.any<std::uint64_t>();
  }
  json operator()(const Member<double>& /*member*/) const { return any_number(choices); }
  json operator()(const Member<EarlyStopping>& /*member*/) const {
    return choices.rarely(3) ? json("never") : json(choices.flag());
  }
  json operator()(const Member<std::vector<std::string>>& /*member*/) const {
    return list_of(choices, [&] { return valid_utf8(choices.text(4)); });
  }
  json operator()(const Member<std::vector<std::int32_t>>& /*member*/) const {
    return any_ids(choices);
  }
  json operator()(const Member<std::vector<std::vector<std::int32_t>>>& /*member*/) const {
    return list_of(choices, [&] { return any_ids(choices); });
  }
  json operator()(const Member<std::vector<std::pair<std::int32_t, float>>>& /*member*/) const {
    json biases = json::object();
    for (auto count = choices.number(0, 3); count > 0; --count) {
      biases[std::to_string(any_id(choices))] = 20 * any_number(choices) - 40;
    }
    return biases;
  }
  json operator()(
      const Member<std::vector<std::pair<std::vector<std::int32_t>, float>>>& /*member*/) const {
    return list_of(choices, [&] { return json::array({any_ids(choices), any_number(choices)}); });
  }
  json operator()(const Member<std::pair<std::int64_t, double>>& /*member*/) const {
    return json::array({any_whole(choices), any_number(choices)});
  }
};

std::optional<GenerateOptions> random_options(Choices& choices, std::int64_t slots) {
  RequestChanges changes;
  changes.begin(Source::kLine);
  const auto rows = request_options();
  std::optional<GenerateOptions> options;
  accepts([&] {
    for (auto count = choices.number(0, 9); count > 0; --count) {
      const RequestOption& row = rows[choices.byte() % rows.size()];
      changes.set_field(row, std::visit(AnyValue{choices}, row.member));
    }
    options = changes.over({});
  });
  if (!options) return std::nullopt;
  // Not what is legal, but what takes long.
  options->max_new_tokens = std::min<std::int64_t>(options->max_new_tokens, 8);
  options->answers = std::min<std::int64_t>(options->answers, 3);
  options->best_of = std::min<std::int64_t>(options->best_of, 4);
  if (choices.rarely(8)) options->max_new_tokens = kTinyContext;  // over pages
  options->num_beams = std::min(options->num_beams, slots + 1);
  options->logprob = choices.flag();
  return options;
}

std::vector<std::int32_t> random_prompt(Choices& choices, const Prompts& prompts) {
  if (choices.rarely(8)) {
    std::vector<std::int32_t> ids;
    for (auto count = choices.number(0, 80); count > 0; --count) {
      ids.push_back(static_cast<std::int32_t>(any_id(choices)));
    }
    return ids;
  }
  const bool long_one = choices.rarely(4);
  std::string text = choices.text(long_one ? 70 : 10);
  // Most bytes have no letter in the vocabulary.
  for (char& c : text) {
    if ((c & 0x60) == 0x60) c = static_cast<char>('a' + (c & 0x7));
  }
  return choices.flag() ? prompts.question(text) : prompts.raw(text);
}

}  // namespace

std::optional<Request> random_request(Choices& choices, const Prompts& prompts,
                                      std::int64_t slots) {
  const std::vector<std::int32_t> prompt = random_prompt(choices, prompts);
  if (choices.rarely(5)) {
    ScoreRequest score = {.ids = prompt};
    score.rolling = choices.flag();
    score.first = score.rolling ? 1 : choices.number(1, 4);
    score.logprobs = choices.number(-1, 3);
    if (std::ssize(score.ids) < score.first) return std::nullopt;
    return score;
  }
  const auto options = random_options(choices, slots);
  if (!options) return std::nullopt;
  GenerateRequest request = {.prompt = prompt, .options = *options};
  request.keep_space = choices.flag();
  if (choices.rarely(6)) {
    for (auto count = choices.number(1, 4); count > 0; --count) {
      request.candidates.push_back("ab" + valid_utf8(choices.text(4)));
    }
  }
  return request;
}

}  // namespace aira::fuzz
