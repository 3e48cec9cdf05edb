// One rule for options that do not go together: what someone asked for is honoured, or refused with
// the other thing asked for; defaults yield silently. The pairs are in the tables below.
#include <algorithm>
#include <array>

#include "aira/error.h"
#include "run/request_options.h"

namespace aira {
namespace {

using Names = std::span<const std::string_view>;

/// What plays a part only where a token is drawn.
constexpr std::array<std::string_view, 7> kDraws = {
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"};
constexpr std::array<std::string_view, 3> kOneByOne = {"best_of", "logprobs", "stop_on_loop"};
constexpr std::array<std::string_view, 2> kSamples = {"do_sample", "best_of"};
constexpr std::array<std::string_view, 1> kDoSample = {"do_sample"};
constexpr std::array<std::string_view, 2> kBeamsOnly = {"length_penalty", "early_stopping"};
/// A temperature of 0.
constexpr std::string_view kCold = "greedy temperature";

constexpr const char* kGreedyAndDraw = to_translate(
    "[E234] {} takes the most probable token and {} is for drawing; leave one of them out.");
constexpr const char* kBeamsAndDraw = to_translate(
    "[E233] {} searches for the best answer and {} is for drawing; leave one of them out.");
constexpr const char* kBeamsAndOther =
    to_translate("[E235] {1} does not go with {0}; leave one of them out.");

/// `one` does not go with any of `others`.
struct Rule {
  std::string_view one;
  Names others;
  const char* sentence;
};

constexpr auto kRules = std::to_array<Rule>({
    {"greedy", kDraws, kGreedyAndDraw},
    {"greedy", kSamples, kGreedyAndDraw},
    {kCold, kSamples, kGreedyAndDraw},
    {"num_beams", kDraws, kBeamsAndDraw},
    {"num_beams", kDoSample, kBeamsAndDraw},
    {"num_beams", kOneByOne, kBeamsAndOther},
});

bool is_among(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool shapes_a_draw(const RequestOption& option) { return is_among(kDraws, option.name); }

bool RequestChanges::has(const RequestOption& option) const {
  return std::any_of(given_.begin(), given_.end(),
                     [&](const Given& one) { return one.row->member == option.member; });
}

std::string RequestChanges::spelled(const Given& given) {
  const bool is_switch = *given.row->placeholder == '\0';
  if (given.source == Source::kLine) return option(given.row->name) + ": " + given.value;
  if (given.source == Source::kParams) return option(given.row->name) + " " + given.value;
  return given.row->flag() + (is_switch ? "" : " " + given.value);
}

/// The last time that the row of this name was set.
const RequestChanges::Given* RequestChanges::last(std::string_view name) const {
  const auto found = std::find_if(given_.rbegin(), given_.rend(),
                                  [&](const Given& one) { return one.row->name == name; });
  return found == given_.rend() ? nullptr : &*found;
}

/// What is set now, if it means this: a row's name, where it asks for something; but for the two
/// rows of one switch "greedy" or "do_sample", and for a temperature of 0 kCold.
const RequestChanges::Given* RequestChanges::meant(std::string_view meaning) const {
  const RequestOption& row = request_option(meaning == kCold ? "temperature" : meaning);
  const auto found = std::find_if(given_.rbegin(), given_.rend(),
                                  [&](const Given& one) { return one.row->member == row.member; });
  if (found == given_.rend()) return nullptr;
  const bool is_switch = std::holds_alternative<Member<bool>>(row.member);
  const bool means = is_switch          ? (found->on != found->row->opposite) != row.opposite
                     : meaning == kCold ? !found->on
                                        : found->on;
  return means ? &*found : nullptr;
}

/// Whether of two limits for one length the one with the prompt counts.
bool RequestChanges::whole_counts(std::string_view of_new, std::string_view of_all) const {
  const Given* fresh = last(of_new);
  const Given* all = last(of_all);
  if (fresh == nullptr || all == nullptr) return all != nullptr;
  if (fresh->source != all->source) return all->source > fresh->source;
  return all->source == Source::kParams && all > fresh;
}

GenerateOptions RequestChanges::laid_over(GenerateOptions options) const {
  for (const Given& one : given_) {
    std::visit([&](const auto& member) { member.of(options) = member.of(values_); },
               one.row->member);
  }
  if (whole_counts("min_new_tokens", "min_length")) {
    options.sampling.min_new_tokens = 0;
  } else if (last("min_new_tokens") != nullptr) {
    options.min_length = 0;
  }
  if (last("max_new_tokens") != nullptr && !whole_counts("max_new_tokens", "max_length")) {
    options.max_length = 0;
  }
  return options;
}

void RequestChanges::refuse_two_limits(std::string_view of_new, std::string_view of_all) const {
  const Given* fresh = last(of_new);
  const Given* all = last(of_all);
  if (fresh == nullptr || all == nullptr || fresh->source != all->source) return;
  if (fresh->source == Source::kParams) return;
  throw UsageError("[E236] {} and {} limit one and the same length; leave one of them out.",
                   {spelled(*fresh), spelled(*all)});
}

void RequestChanges::refuse_conflicts() const {
  const bool cold = meant(kCold) != nullptr;  // all other ways of drawing make no difference then
  for (const Rule& rule : kRules) {
    const Given* one = cold && rule.others.data() == kDraws.data() ? nullptr : meant(rule.one);
    for (const std::string_view name : rule.others) {
      const Given* other = one == nullptr ? nullptr : meant(name);
      if (other != nullptr) throw UsageError(rule.sentence, {spelled(*one), spelled(*other)});
    }
  }
  refuse_two_limits("max_new_tokens", "max_length");
  refuse_two_limits("min_new_tokens", "min_length");
  const Given* greedy = last("greedy");
  const Given* sample = last("do_sample");
  if (greedy != nullptr && sample != nullptr && greedy->source == sample->source &&
      greedy->on == sample->on && greedy->source != Source::kParams) {
    throw UsageError("[E242] {} and {} ask for opposite things; leave one of them out.",
                     {spelled(*greedy), spelled(*sample)});
  }
}

/// Refuses a minimum above the maximum, or moves the one of them that is a default.
void RequestChanges::fit_lengths(GenerateOptions& options) const {
  const auto fit = [&](const char* least, const char* most, std::int64_t& from, std::int64_t& to) {
    if (from <= to) return;
    const Given* minimum = meant(least);
    const Given* maximum = meant(most);
    if (minimum != nullptr && maximum != nullptr) {
      throw UsageError("[E237] {} is more than {}.", {spelled(*minimum), spelled(*maximum)});
    }
    if (minimum != nullptr) to = from;
  };
  if (options.max_length > 0) {
    fit("min_length", "max_length", options.min_length, options.max_length);
  } else {
    fit("min_new_tokens", "max_new_tokens", options.sampling.min_new_tokens,
        options.max_new_tokens);
  }
}

void RequestChanges::make_defaults_yield(GenerateOptions& options) const {
  const auto any = [&](Names names) {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return meant(name) != nullptr; });
  };
  if (meant("num_beams") != nullptr) {
    options.best_of = 1;
    options.logprobs = -1;
    options.stop_on_loop = false;
    if (meant("num_return_sequences") == nullptr) {
      options.answers = std::min(options.answers, options.num_beams);
    }
    return;
  }
  if (any(kDraws) || any(kSamples) || any(kOneByOne)) options.num_beams = 1;
  if (options.num_beams > 1) options.num_beams = std::max(options.num_beams, options.answers);
  if (options.best_of > 1 && meant("num_return_sequences") == nullptr) {
    options.answers = std::min(options.answers, options.best_of);
  }
  if (any(kSamples) && options.sampling.temperature == 0) options.sampling.temperature = 1;
}

GenerateOptions RequestChanges::tentative() const { return combined({}); }

GenerateOptions RequestChanges::combined(GenerateOptions options) const {
  refuse_conflicts();
  for (const Given& one : given_) {
    if (shapes_a_draw(*one.row) || is_among(kSamples, one.row->name))
      options.sampling.greedy = false;
  }
  options = laid_over(std::move(options));
  make_defaults_yield(options);
  fit_lengths(options);
  options.validate();
  return options;
}

GenerateOptions RequestChanges::over(GenerateOptions options) const {
  options = combined(std::move(options));
  for (const std::string_view name : kBeamsOnly) {
    const Given* given = options.num_beams == 1 ? meant(name) : nullptr;
    // What the command line says for all JSON lines may be for some of them.
    if (given == nullptr || given->source != source_) continue;
    throw UsageError("[E238] {} is for beam search, which {} of at least 2 turns on.",
                     {spelled(*given), option("num_beams")});
  }
  return options;
}

}  // namespace aira
