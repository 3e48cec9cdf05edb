// The options' legal ranges and defaults.
#include "aira/generate.h"

#include <string>

#include "aira/error.h"
#include "run/beam_search.h"
#include "run/default_options.h"

namespace aira {

void GenerateOptions::validate() const {
  sampling.validate();
  if (max_new_tokens < 1) {
    throw UsageError("--max-new-tokens must be a whole number from 1, not " +
                     std::to_string(max_new_tokens) + ".");
  }
  if (best_of > 1 && best_of < answers) {
    throw UsageError("--best-of " + std::to_string(best_of) + " cannot give " +
                     std::to_string(answers) +
                     " answers; --num-return-sequences must not be larger.");
  }
  BeamOptions{.beams = num_beams,
              .length_penalty = length_penalty,
              .early_stopping = early_stopping,
              .returned = num_beams == 1 ? 1 : answers,
              .max_new_tokens = max_new_tokens}
      .validate();
  if (num_beams == 1) return;
  if (best_of > 1) throw UsageError("--best-of samples; it does not go with --num-beams.");
  if (logprobs >= 0) throw UsageError("--logprobs does not go with --num-beams.");
  if (stop_on_loop) throw UsageError("--stop-on-loop does not go with --num-beams.");
}

GenerateOptions default_options(const GenerationConfig& config) {
  GenerateOptions options;
  SamplingOptions& sampling = options.sampling;
  sampling.temperature = config.temperature.value_or(sampling.temperature);
  sampling.top_k = config.top_k.value_or(sampling.top_k);
  sampling.top_p = config.top_p.value_or(sampling.top_p);
  sampling.repetition_penalty = config.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.greedy = config.do_sample.has_value() && !*config.do_sample;
  options.max_new_tokens = config.max_new_tokens.value_or(options.max_new_tokens);
  return options;
}

}  // namespace aira
