// The legal ranges of the sampling options.
#include <cmath>

#include "aira/generate.h"
#include "run/option_range.h"

namespace aira {
namespace {

void check_bad_words(const std::vector<std::vector<std::int32_t>>& words) {
  const char* range = "lists of at least one token id from 0";
  for (const std::vector<std::int32_t>& word : words) {
    if (word.empty()) out_of_range("bad_words", "an empty list", range);
    for (const std::int32_t id : word) {
      if (id < 0) out_of_range("bad_words", id, range);
    }
  }
}

void check_logit_bias(const std::vector<std::pair<std::int32_t, float>>& biases) {
  const char* range = "token ids from 0, each with a finite number";
  for (const auto& [id, bias] : biases) {
    if (id < 0) out_of_range("logit_bias", id, range);
    if (!std::isfinite(bias)) out_of_range("logit_bias", bias, range);
  }
}

}  // namespace

void SamplingOptions::validate() const {
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    out_of_range("temperature", temperature,
                 "a number above 0 (for the most probable token use --greedy)");
  }
  if (top_k < 0) out_of_range("top_k", top_k, "a whole number from 0 (off)");
  if (!(top_p > 0 && top_p <= 1)) out_of_range("top_p", top_p, "above 0 and at most 1 (off)");
  if (!(min_p >= 0 && min_p <= 1)) out_of_range("min_p", min_p, "from 0 (off) to 1");
  if (!(typical_p > 0 && typical_p <= 1)) {
    out_of_range("typical_p", typical_p, "above 0 and at most 1 (off)");
  }
  const auto penalty = static_cast<float>(repetition_penalty);  // as it is used
  if (!(penalty > 0) || !std::isfinite(penalty)) {
    out_of_range("repetition_penalty", repetition_penalty, "a number above 0 (1 is off)");
  }
  if (no_repeat_ngram_size < 0) {
    out_of_range("no_repeat_ngram_size", no_repeat_ngram_size, "a whole number from 0 (off)");
  }
  if (min_new_tokens < 0) {
    out_of_range("min_new_tokens", min_new_tokens, "a whole number from 0 (off)");
  }
  check_bad_words(bad_words);
  check_logit_bias(logit_bias);
}

}  // namespace aira
