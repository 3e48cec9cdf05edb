// The processors are transformers 5's SequenceBias-, RepetitionPenalty-, NoRepeatNGram-,
// NoBadWords-, MinNewTokensLength-, ForcedBOSToken-, ForcedEOSToken-, SuppressTokens- and
// SuppressTokensAtBeginLogitsProcessor and its ExponentialDecayLengthPenalty, in the order of its
// `generate` and, as there, in float32.
#include "run/scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "aira/error.h"
#include "cpu/kernels.h"

namespace aira {
namespace {

using Ids = std::span<const std::int32_t>;

constexpr float kGreatest = std::numeric_limits<float>::max();
constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void penalise(ScoreRow& row, Ids history, float penalty) {
  for (const std::int32_t id : history) row.seen[static_cast<std::size_t>(id)] = 0;
  for (const std::int32_t id : history) {
    const auto i = static_cast<std::size_t>(id);
    if (row.seen[i] != 0) continue;  // a token counts once, however often it occurs
    row.seen[i] = 1;
    float& score = row.scores[i];
    const float changed = score < 0 ? score * penalty : score / penalty;
    // Beyond the greatest number the order is lost, but not the sense.
    score = std::isinf(changed) && std::isfinite(score) ? std::copysign(kGreatest, score) : changed;
  }
}

/// OpenAI's presence and frequency penalty, on what was generated; the prompt does not count.
void penalise_generated(ScoreRow& row, const History& history, const SamplingOptions& options) {
  const Ids generated = history.ids.subspan(static_cast<std::size_t>(history.prompt));
  for (const std::int32_t id : generated) row.seen[static_cast<std::size_t>(id)] = 0;
  for (const std::int32_t id : generated) {
    const auto i = static_cast<std::size_t>(id);
    const bool is_first = std::exchange(row.seen[i], std::uint8_t{1}) == 0;
    const double penalty = options.frequency_penalty + (is_first ? options.presence_penalty : 0);
    row.scores[i] -= static_cast<float>(penalty);
  }
}

/// Forbids every token that would complete an n-gram of `size` ids that the text already has.
void forbid_repeated(std::vector<float>& scores, Ids history, std::size_t size) {
  if (history.size() < size) return;
  const Ids start = history.last(size - 1);
  for (std::size_t i = 0; i + size <= history.size(); ++i) {
    if (std::equal(start.begin(), start.end(), history.subspan(i).begin())) {
      scores[static_cast<std::size_t>(history[i + size - 1])] = kForbidden;
    }
  }
}

/// Whether `ids` end in all of `sequence` but its last id.
bool precede_last(Ids ids, Ids sequence) {
  const Ids start = sequence.first(sequence.size() - 1);
  return start.size() <= ids.size() &&
         std::equal(start.begin(), start.end(), ids.last(start.size()).begin());
}

void forbid_bad_words(std::vector<float>& scores, const History& history,
                      const std::vector<std::vector<std::int32_t>>& words) {
  for (const Ids word : words) {
    // As in transformers, a text may end even if its end token is a bad word.
    const Ids& ends = history.end_ids;
    if (word.size() == 1 && std::find(ends.begin(), ends.end(), word.front()) != ends.end()) {
      continue;
    }
    if (precede_last(history.ids, word)) scores[static_cast<std::size_t>(word.back())] = kForbidden;
  }
}

/// Forbids these ids; those beyond the vocabulary cannot come up.
void forbid(std::vector<float>& scores, Ids ids) {
  for (const std::int32_t id : ids) {
    const auto i = static_cast<std::size_t>(id);
    if (i < scores.size()) scores[i] = kForbidden;
  }
}

/// Leaves these ids alone, all alike.
void force(std::vector<float>& scores, Ids ids) {
  if (ids.empty()) return;
  std::fill(scores.begin(), scores.end(), kForbidden);
  for (const std::int32_t id : ids) scores[static_cast<std::size_t>(id)] = 0;
}

void favour_end(std::vector<float>& scores, Ids ends, double factor) {
  for (const std::int32_t id : ends) {
    const auto i = static_cast<std::size_t>(id);
    if (i >= scores.size() || !std::isfinite(scores[i])) continue;
    scores[i] += std::abs(scores[i]) * static_cast<float>(factor - 1);
  }
}

/// The greatest number, NaN ignored; in lanes, which the compiler turns into vectors.
float greatest(std::span<const float> numbers) {
  std::array<float, 16> lanes;
  lanes.fill(kForbidden);
  std::size_t i = 0;
  for (; i + lanes.size() <= numbers.size(); i += lanes.size()) {
    for (std::size_t l = 0; l < lanes.size(); ++l) lanes[l] = std::max(lanes[l], numbers[i + l]);
  }
  for (; i < numbers.size(); ++i) lanes[0] = std::max(lanes[0], numbers[i]);
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace

LogSoftmax::LogSoftmax(std::span<const float> logits)
    : logits_(logits), highest_(greatest(logits)) {
  static const cpu::Kernels& kernels = cpu::choose_kernels();
  log_sum_ =
      std::log(kernels.sum_exp(logits.data(), static_cast<std::int64_t>(logits.size()), highest_));
}

std::vector<TokenLogProbability> LogSoftmax::top(std::int64_t k) const {
  // Distinct logits may round to one log-probability, so the logits are what is compared.
  std::vector<TokenLogProbability> best = best_tokens(logits_, static_cast<std::size_t>(k));
  for (TokenLogProbability& entry : best) entry.log_probability = (*this)[entry.token];
  return best;
}

std::vector<TokenLogProbability> best_tokens(std::span<const float> scores, std::size_t k) {
  const auto before = [](const TokenLogProbability& a, const TokenLogProbability& b) {
    return a.log_probability != b.log_probability ? a.log_probability > b.log_probability
                                                  : a.token < b.token;
  };
  std::vector<TokenLogProbability> best;  // a heap, the last of them in front
  if (k == 0) return best;
  best.reserve(std::min(k, scores.size()));
  float threshold = kForbidden;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!(scores[i] > threshold)) continue;
    if (best.size() == k) {
      std::pop_heap(best.begin(), best.end(), before);
      best.pop_back();
    }
    best.push_back({static_cast<std::int32_t>(i), scores[i]});
    std::push_heap(best.begin(), best.end(), before);
    if (best.size() == k) threshold = static_cast<float>(best.front().log_probability);
  }
  std::sort_heap(best.begin(), best.end(), before);
  return best;
}

void process_scores(ScoreRow& row, const History& history, const SamplingOptions& options) {
  std::vector<float>& scores = row.scores;
  for (const auto& [id, bias] : options.logit_bias) scores[static_cast<std::size_t>(id)] += bias;
  for (const auto& [ids, bias] : options.sequence_bias) {
    if (precede_last(history.ids, ids)) scores[static_cast<std::size_t>(ids.back())] += bias;
  }
  if (options.repetition_penalty != 1) {
    penalise(row, history.ids, static_cast<float>(options.repetition_penalty));
  }
  if (options.presence_penalty != 0 || options.frequency_penalty != 0) {
    penalise_generated(row, history, options);
  }
  if (options.no_repeat_ngram_size > 0) {
    forbid_repeated(scores, history.ids, static_cast<std::size_t>(options.no_repeat_ngram_size));
  }
  forbid_bad_words(scores, history, options.bad_words);
  const auto length = static_cast<std::int64_t>(history.ids.size());
  const std::int64_t generated = length - history.prompt;
  if (generated < options.min_new_tokens) forbid(scores, history.end_ids);
  if (length == 1) force(scores, options.forced_bos_token_id);
  if (length + 1 == history.longest) force(scores, options.forced_eos_token_id);
  const auto& [begin, factor] = options.exponential_decay_length_penalty;
  if (generated > begin) {
    favour_end(scores, history.end_ids, std::pow(factor, static_cast<double>(generated - begin)));
  }
  forbid(scores, options.suppress_tokens);
  // A forced first token is not the first that these are for.
  const bool forced = history.prompt <= 1 && !options.forced_bos_token_id.empty();
  if (generated == (forced ? 1 : 0)) forbid(scores, options.begin_suppress_tokens);
}

void throw_not_a_number() {
  throw Error(
      "[E031] The model's output is not a number: its weights are damaged, or too large for the "
      "chosen --dtype (try f32).");
}

void throw_nothing_left() {
  throw Error(
      "[E032] No token is left to go on with: {}, {}, {} and {} together forbid all of them.",
      {option("bad_words"), option("suppress_tokens"), option("no_repeat_ngram_size"),
       option("min_new_tokens")});
}

}  // namespace aira
