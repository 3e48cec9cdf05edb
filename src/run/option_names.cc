// Names that people write for a request option.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/nearest.h"
#include "run/request_options.h"

namespace aira {
namespace {

/// What other programs call these options: OpenAI's interface, llama.cpp, ollama, vLLM.
constexpr std::array<std::array<std::string_view, 2>, 21> kElsewhere = {{
    {"temp", "temperature"},
    {"max_tokens", "max_new_tokens"},
    {"max_completion_tokens", "max_new_tokens"},
    {"max_output_tokens", "max_new_tokens"},
    {"n_predict", "max_new_tokens"},
    {"num_predict", "max_new_tokens"},
    {"predict", "max_new_tokens"},
    {"min_tokens", "min_new_tokens"},
    {"n", "num_return_sequences"},
    {"typical", "typical_p"},
    {"repeat_penalty", "repetition_penalty"},
    {"no_repeat_ngram", "no_repeat_ngram_size"},
    {"random_seed", "seed"},
    {"rng_seed", "seed"},
    {"sampling", "do_sample"},
    {"beams", "num_beams"},
    {"beam_size", "num_beams"},
    {"beam_width", "num_beams"},
    {"stop_sequence", "stop"},
    {"stop_sequences", "stop"},
    {"top_logprobs", "logprobs"},
}};

}  // namespace

std::string_view option_called(std::string_view name) {
  const auto* const row = std::find_if(kElsewhere.begin(), kElsewhere.end(),
                                       [&](const auto& pair) { return pair[0] == name; });
  return row == kElsewhere.end() ? "" : (*row)[1];
}

std::string similar_option(std::string_view name) {
  std::string field(name);
  std::replace(field.begin(), field.end(), '-', '_');
  if (const auto ours = option_called(field); !ours.empty()) return std::string(ours);
  std::vector<std::string> names;
  for (const RequestOption& row : request_options()) names.emplace_back(row.name);
  return nearest(field, names);
}

}  // namespace aira
