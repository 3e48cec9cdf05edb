// Questions to answers: prompt markers, prefill, decode, stop rules, and the scoring of given
// texts.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/model.h"
#include "aira/sampler.h"
#include "aira/tokenizer.h"

namespace aira {

struct GenerateOptions {
  SamplingOptions sampling;
  std::int64_t max_new_tokens = 200;  // > 0
  std::uint64_t seed = 0;
  std::uint32_t answer = 0;       // which of the -n answers (part of the random stream's key)
  std::vector<std::string> stop;  // texts that end the answer and are not printed
  bool logprob = false;           // also compute Answer::logprob

  /// Throws UsageError that names the option and its legal range.
  void validate() const;
};

/// The options a model's authors set, the card's defaults where they did not.
GenerateOptions default_options(const GenerationConfig& config);

enum class FinishReason : std::uint8_t {
  kStop,         // an end token or a stop text
  kLength,       // the token limit, or the context is full
  kInterrupted,  // the caller asked to stop
};

struct Answer {
  std::string text;                     // no special tokens, no surrounding white space
  std::vector<std::int32_t> token_ids;  // generated ids, the end token included
  FinishReason finish = FinishReason::kStop;
  /// Sum of the generated tokens' log-probabilities under the model itself (before penalty,
  /// temperature and cuts); only when GenerateOptions::logprob asked for it.
  double logprob = 0;
  std::int64_t prompt_tokens = 0;
  double first_token_seconds = 0;  // from the call to the first token, prefill included
  double decode_seconds = 0;       // from the first token to the last
};

struct TokenScore {
  std::int32_t id = 0;
  double logprob = 0;
};

/// The log-likelihood of a text, as lm-evaluation-harness defines it.
struct Score {
  double logprob = 0;     // sum over tokens
  bool is_greedy = true;  // each token was the most probable one
  std::vector<TokenScore> tokens;
};

/// The tokens that stand before and after a question.
struct QuestionMarkers {
  std::int32_t start = 0;
  std::int32_t end = 0;
};

/// The model's markers: the two instruction tokens, or by other names its bos and sep; nothing for
/// a base model, which completes raw text only.
std::optional<QuestionMarkers> question_markers(const Tokenizer& tokenizer);

/// Generates one answer at a time with one session of its own.
class Generator {
 public:
  Generator(const Model& model, const Tokenizer& tokenizer, Backend& backend,
            const GenerationConfig& generation);

  /// Whether the tokenizer has question_markers().
  bool has_markers() const { return markers_.has_value(); }
  /// Marker + question + marker. Throws Error when the model has no markers (use raw) or the text
  /// is too long for the context.
  std::vector<std::int32_t> question_prompt(std::string_view question) const;
  /// A whole dialogue: earlier (question, answer) pairs, each closed by the end token, then
  /// question.
  std::vector<std::int32_t> dialogue_prompt(
      std::span<const std::pair<std::string, std::string>> turns, std::string_view question) const;
  /// The text as it stands (bos, or the end-of-text token, when it is empty).
  std::vector<std::int32_t> raw_prompt(std::string_view text) const;

  /// Runs `prompt` to its end. `on_text` gets the answer's text in pieces of whole letters as soon
  /// as they are certain (never part of a stop text, no surrounding white space); may be empty.
  /// `cancel` is looked at once per token; may be null. Throws Error when the prompt does not fit,
  /// naming both lengths.
  Answer generate(std::span<const std::int32_t> prompt, const GenerateOptions& options,
                  const std::function<void(std::string_view)>& on_text,
                  const std::atomic<bool>* cancel);

  /// Log-likelihood of `continuation` after `context`, both plain text, tokenised separately; an
  /// empty context is the end-of-text token. Throws Error when both do not fit into the context.
  Score score(std::string_view context, std::string_view continuation);

  const Model& model() const { return session_.model(); }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  std::int32_t text_start() const;
  void check_ids(std::span<const std::int32_t> ids) const;
  std::span<const float> feed(std::span<const std::int32_t> ids, std::int64_t position,
                              std::int64_t wanted);
  std::span<const float> prefill(std::span<const std::int32_t> prompt,
                                 const std::atomic<bool>* cancel);

  const Tokenizer& tokenizer_;
  std::optional<QuestionMarkers> markers_;
  std::vector<std::int32_t> end_ids_;  // tokens that end an answer
  bool end_as_text_ = false;           // the end marker is not a token of its own
  Session session_;
  Sampler sampler_;
  std::vector<Row> rows_;
  std::vector<std::int32_t> wanted_;
  std::vector<std::int32_t> cached_;  // ids whose keys and values are in the cache
};

}  // namespace aira
