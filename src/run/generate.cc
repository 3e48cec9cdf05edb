// The options' legal ranges and defaults.
#include "aira/generate.h"

#include <cmath>
#include <string>

#include "aira/error.h"
#include "run/default_options.h"
#include "run/option_range.h"

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
  if (num_beams < 1) out_of_range("num_beams", num_beams, "a whole number from 1");
  if (!std::isfinite(length_penalty)) {
    out_of_range("length_penalty", length_penalty, "a finite number");
  }
  if (answers < 1 || (num_beams > 1 && answers > num_beams)) {
    const std::string range =
        "a whole number from 1" +
        (num_beams > 1 ? " to the number of beams, " + std::to_string(num_beams) : std::string());
    out_of_range("num_return_sequences", answers, range.c_str());
  }
  if (num_beams == 1) return;
  if (best_of > 1) throw UsageError("--best-of samples; it does not go with --num-beams.");
  if (logprobs >= 0) throw UsageError("--logprobs does not go with --num-beams.");
  if (stop_on_loop) throw UsageError("--stop-on-loop does not go with --num-beams.");
}

void GenerateOptions::check_vocabulary(std::int64_t vocab) const {
  const auto check = [&](const char* name, std::int32_t id) {
    if (id < vocab) return;
    throw UsageError(option(name) + " names token id " + std::to_string(id) +
                     ", but the model's ids go from 0 to " + std::to_string(vocab - 1) + ".");
  };
  for (const auto& [id, bias] : sampling.logit_bias) check("logit_bias", id);
  for (const auto& word : sampling.bad_words) {
    for (const std::int32_t id : word) check("bad_words", id);
  }
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
