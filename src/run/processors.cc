// transformers 5's SequenceBias-, RepetitionPenalty-, NoRepeatNGram-, NoBadWords- and
// MinNewTokensLengthLogitsProcessor, in the order of its `generate` and, as there, in float32.
#include "run/processors.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>

#include "aira/error.h"

namespace aira {
namespace {

using Ids = std::span<const std::int32_t>;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

float& score_of(std::span<float> scores, std::int32_t id) {
  assert(id >= 0 && static_cast<std::size_t>(id) < scores.size());
  return scores[static_cast<std::size_t>(id)];
}

void penalise(std::span<float> scores, std::span<std::uint8_t> seen, Ids history, double penalty) {
  const auto factor = static_cast<float>(penalty);
  for (const std::int32_t id : history) seen[static_cast<std::size_t>(id)] = 0;
  for (const std::int32_t id : history) {
    const auto i = static_cast<std::size_t>(id);
    if (seen[i] != 0) continue;  // a token counts once, however often it occurs
    seen[i] = 1;
    scores[i] = scores[i] < 0 ? scores[i] * factor : scores[i] / factor;
  }
}

/// Forbids every token that would complete an n-gram of `size` ids that the text already has.
void forbid_repeated(std::span<float> scores, Ids history, std::size_t size) {
  if (history.size() < size) return;
  const Ids start = history.last(size - 1);
  for (std::size_t i = 0; i + size <= history.size(); ++i) {
    if (std::equal(start.begin(), start.end(), history.begin() + static_cast<std::ptrdiff_t>(i))) {
      scores[static_cast<std::size_t>(history[i + size - 1])] = kForbidden;
    }
  }
}

bool contains(Ids ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

void forbid_bad_words(std::span<float> scores, const History& history,
                      const std::vector<std::vector<std::int32_t>>& words) {
  for (const Ids word : words) {
    // As in transformers, a text may end even if its end token is a bad word.
    if (word.size() == 1 && contains(history.end_ids, word.front())) continue;
    const Ids start = word.first(word.size() - 1);
    if (start.size() > history.ids.size()) continue;
    const Ids end = history.ids.last(start.size());
    if (std::equal(start.begin(), start.end(), end.begin())) {
      score_of(scores, word.back()) = kForbidden;
    }
  }
}

}  // namespace

void process_scores(std::span<float> scores, std::span<std::uint8_t> seen, const History& history,
                    const SamplingOptions& options) {
  for (const auto& [id, bias] : options.logit_bias) score_of(scores, id) += bias;
  if (options.repetition_penalty != 1) {
    penalise(scores, seen, history.ids, options.repetition_penalty);
  }
  if (options.no_repeat_ngram_size > 0) {
    forbid_repeated(scores, history.ids, static_cast<std::size_t>(options.no_repeat_ngram_size));
  }
  forbid_bad_words(scores, history, options.bad_words);
  const auto generated = static_cast<std::int64_t>(history.ids.size()) - history.prompt;
  if (generated < options.min_new_tokens) {
    for (const std::int32_t id : history.end_ids) {
      // The end ids of a checkpoint's files may lie beyond its vocabulary.
      if (id >= 0 && static_cast<std::size_t>(id) < scores.size()) {
        scores[static_cast<std::size_t>(id)] = kForbidden;
      }
    }
  }
}

void throw_not_a_number() {
  throw Error(
      "The model's output is not a number: its weights are damaged, or too large for the chosen "
      "--dtype (try f32).");
}

void throw_nothing_left() {
  throw Error("No token is left to go on with: " + option("bad_words") + ", " +
              option("no_repeat_ngram_size") + " and " + option("min_new_tokens") +
              " together forbid all of them.");
}

}  // namespace aira
