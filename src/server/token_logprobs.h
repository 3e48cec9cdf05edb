// Log-probabilities of tokens in the two forms of OpenAI's interface.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "aira/generate.h"
#include "aira/tokenizer.h"

namespace aira {

/// A token of a prompt or an answer; the first of a text has no probability.
struct RatedToken {
  std::int32_t id = 0;
  std::optional<double> logprob;
  std::vector<TokenLogProbability> top;  // most probable first
};

/// Of /v1/completions: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, lists of one
/// entry for each token, in the order of the text. `offset` is the place of the first of `tokens`
/// in the text of the choice, in characters, and becomes the place after the last one.
nlohmann::ordered_json completion_logprobs(const Tokenizer& tokenizer,
                                           const std::vector<RatedToken>& tokens,
                                           std::int64_t& offset, bool special_is_text);

/// Of /v1/chat/completions: {"content": [{"token", "logprob", "bytes", "top_logprobs"}],
/// "refusal"}; with each token also its "id", and "special": true where it is no text.
nlohmann::ordered_json chat_logprobs(const Tokenizer& tokenizer,
                                     const std::vector<RatedToken>& tokens);

}  // namespace aira
