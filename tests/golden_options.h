// The sampling options of a golden (tests/data/models/README.md).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "run/sampler.h"

namespace aira {

/// What `golden` does not name is off.
inline SamplingOptions options_of(const nlohmann::json& golden) {
  SamplingOptions options{.temperature = golden.value("temperature", 1.0),
                          .top_k = golden.value("top_k", std::int64_t{0}),
                          .top_p = golden.value("top_p", 1.0),
                          .min_p = golden.value("min_p", 0.0),
                          .typical_p = golden.value("typical_p", 1.0),
                          .repetition_penalty = golden.value("repetition_penalty", 1.0)};
  options.no_repeat_ngram_size = golden.value("no_repeat_ngram_size", std::int64_t{0});
  options.min_new_tokens = golden.value("min_new_tokens", std::int64_t{0});
  options.bad_words = golden.value("bad_words", options.bad_words);
  options.logit_bias = golden.value("logit_bias", options.logit_bias);
  options.renormalize_logits = golden.value("renormalize_logits", false);
  options.epsilon_cutoff = golden.value("epsilon_cutoff", 0.0);
  options.eta_cutoff = golden.value("eta_cutoff", 0.0);
  options.sequence_bias = golden.value("sequence_bias", options.sequence_bias);
  options.suppress_tokens = golden.value("suppress_tokens", options.suppress_tokens);
  options.begin_suppress_tokens =
      golden.value("begin_suppress_tokens", options.begin_suppress_tokens);
  options.forced_bos_token_id = golden.value("forced_bos_token_id", options.forced_bos_token_id);
  options.forced_eos_token_id = golden.value("forced_eos_token_id", options.forced_eos_token_id);
  options.exponential_decay_length_penalty =
      golden.value("exponential_decay_length_penalty", options.exponential_decay_length_penalty);
  return options;
}

}  // namespace aira
