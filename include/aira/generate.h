// What can be asked of a model, and what comes back: answers and scores.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace aira {

struct SamplingOptions {
  double temperature = 0.2;         // >= 0; 0 = the best token
  std::int64_t top_k = 30;          // >= 0; 0 = off
  double top_p = 0.3;               // in [0, 1]; 0 = the best token, 1 = off
  double min_p = 0;                 // in [0, 1], of the most probable token's; 0 = off
  double typical_p = 1;             // in (0, 1]; 1 = off
  double repetition_penalty = 1.2;  // > 0; 1 = off
  double presence_penalty = 0;      // taken off the logit of a token that was generated; 0 = off
  double frequency_penalty = 0;     // the same for each time that it was
  bool greedy = false;              // the best token before temperature, nothing after it applies

  std::int64_t no_repeat_ngram_size = 0;                  // >= 0; 0 = off
  std::int64_t min_new_tokens = 0;                        // >= 0; no end token before these
  std::vector<std::vector<std::int32_t>> bad_words = {};  // sequences of ids that must not come up
  /// Added to the logits of these ids; the last counts where an id comes twice.
  std::vector<std::pair<std::int32_t, float>> logit_bias = {};
  /// Beam search adds log-probabilities that sum to 1 again after all of the above. A draw does so
  /// in any case.
  bool renormalize_logits = false;

  double epsilon_cutoff = 0;  // in [0, 1]; drops tokens less likely than this; 0 and 1 = off
  double eta_cutoff = 0;      // in [0, 1]; the same, adapted to the entropy
  /// Added to the logit of the last of these ids where the others precede it.
  std::vector<std::pair<std::vector<std::int32_t>, float>> sequence_bias = {};
  std::vector<std::int32_t> suppress_tokens = {};        // must not come up
  std::vector<std::int32_t> begin_suppress_tokens = {};  // must not come up first
  std::vector<std::int32_t> forced_bos_token_id = {};    // one of these follows a prompt of one id
  std::vector<std::int32_t> forced_eos_token_id = {};    // one of these is the last that fits
  /// After `first` new tokens, each makes an end likelier: |logit| * (second^n - 1) is added to it.
  std::pair<std::int64_t, double> exponential_decay_length_penalty = {0, 1};

  /// Whether the best token after the processors is taken and nothing is drawn.
  bool takes_best() const { return greedy || temperature == 0 || top_p == 0; }
  bool operator==(const SamplingOptions&) const = default;
};

/// When to stop once `beams` hypotheses have ended, as transformers' early_stopping.
enum class EarlyStopping : std::uint8_t {
  kFalse,  // when the best running beam, were it to end now, would not be among them
  kTrue,   // at once
  kNever,  // when no length that the best running beam can still reach would bring it among them
};

struct GenerateOptions {
  SamplingOptions sampling;
  std::int64_t max_new_tokens = 200;  // > 0
  std::int64_t max_length = 0;        // > 0: the same with the prompt, in place of it; 0 = off
  std::int64_t min_length = 0;        // >= 0: no end token before as many, the prompt's included
  std::uint64_t seed = 0;
  std::int64_t answers = 1;  // num_return_sequences
  std::int64_t best_of = 1;  // sample this many, return the best; at least `answers`; 1 = off
  /// More than one: beam search instead of sampling; temperature and what comes after it do not
  /// apply.
  std::int64_t num_beams = 1;
  double length_penalty = 0.3;  // beams: score = log-probability / length^penalty
  EarlyStopping early_stopping = EarlyStopping::kTrue;  // beams
  std::vector<std::string> stop = {};           // texts that end the answer and are not printed
  std::vector<std::int32_t> eos_token_id = {};  // end the answer; none: Prompts::end_ids()
  /// Texts that an answer must not contain, at the beginning of a word or within: their ids are
  /// added to sampling.bad_words.
  std::vector<std::string> bad_words = {};
  bool stop_on_loop = false;   // end an answer that repeats itself
  bool logprob = false;        // also compute Answer::logprob
  std::int64_t logprobs = -1;  // also Answer::choices, each with this many alternatives; -1 = no

  /// Throws UsageError that names the option and its legal range.
  void validate() const;
};

enum class FinishReason : std::uint8_t {
  kStop,         // an end token or a stop text
  kLength,       // the token limit, or the context is full
  kLoop,         // the answer repeated itself (GenerateOptions::stop_on_loop)
  kInterrupted,  // the caller asked to stop
};

struct TokenLogProbability {
  std::int32_t token = 0;
  double log_probability = 0;
};

/// A generated token and the most probable ones in its place, under the model's own distribution.
struct Choice {
  TokenLogProbability chosen;
  std::vector<TokenLogProbability> top;  // most probable first
};

/// One of GenerateRequest::candidates.
struct RatedText {
  std::string text;
  double logprob = 0;      // that the model answers with it
  double probability = 0;  // the same among the candidates, which sum to 1
};

struct Answer {
  std::string text;  // no special tokens, no surrounding white space unless it is to be kept
  std::vector<std::int32_t> token_ids;  // generated ids, the end token included
  FinishReason finish = FinishReason::kStop;
  /// Sum of the generated tokens' log-probabilities under the model itself (before penalty,
  /// temperature and cuts); only when GenerateOptions::logprob asked for it.
  double logprob = 0;
  /// Of a beam: transformers' sequences_scores, of which `logprob` is the sum before the length
  /// penalty. Here penalties count.
  std::optional<double> score;
  std::vector<Choice> choices;  // of each token; only when GenerateOptions::logprobs asked for it
  std::vector<RatedText> candidates;  // those of the request, in its order
  std::int64_t prompt_tokens = 0;
  double first_token_seconds = 0;  // from the start of its prompt to the first token
  double decode_seconds = 0;       // from the first token to the last
};

/// The log-likelihood of a text, as lm-evaluation-harness defines it.
struct Score {
  double logprob = 0;     // sum over tokens
  bool is_greedy = true;  // each token was the most probable one
  std::vector<TokenLogProbability> tokens;
  /// The most probable tokens in the place of each; only when ScoreRequest::logprobs asked for
  /// them.
  std::vector<std::vector<TokenLogProbability>> top;
};

}  // namespace aira
