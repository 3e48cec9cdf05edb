// Prompts and their continuation, one answer at a time.
#include "aira/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "aira/error.h"
#include "run/answer_text.h"

namespace aira {
namespace {

constexpr const char* kTextEnd = "<|endoftext|>";

/// Rows of a prompt that go through the model at once: enough that reading the weights does not
/// count, few enough that the activations stay in the processor's caches.
constexpr std::int64_t kPrefillRows = 256;
/// Rows of a scored text whose logits are held at once.
constexpr std::int64_t kScoredRows = 64;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void GenerateOptions::validate() const {
  sampling.validate();
  if (max_new_tokens < 1) {
    throw UsageError("--max-new-tokens must be a whole number from 1, not " +
                     std::to_string(max_new_tokens) + ".");
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

std::optional<QuestionMarkers> question_markers(const Tokenizer& tokenizer) {
  const std::optional<std::int32_t> start = tokenizer.find(kStartMarker);
  const std::optional<std::int32_t> end = tokenizer.find(kEndMarker);
  if (start && end) return QuestionMarkers{*start, *end};
  const Tokenizer::Roles& roles = tokenizer.roles();
  if (roles.bos && roles.sep && roles.bos != roles.sep) {
    return QuestionMarkers{*roles.bos, *roles.sep};
  }
  return std::nullopt;
}

Generator::Generator(const Model& model, const Tokenizer& tokenizer, Backend& backend,
                     const GenerationConfig& generation)
    : tokenizer_(tokenizer),
      markers_(question_markers(tokenizer)),
      session_(model, backend, {.slots = 1, .rows = kPrefillRows, .wanted = kScoredRows}),
      sampler_(model.config.vocab) {
  const Tokenizer::Roles& roles = tokenizer.roles();
  end_ids_ = model.config.eos;
  end_ids_.insert(end_ids_.end(), generation.eos.begin(), generation.eos.end());
  const std::optional<std::int32_t> completion_end = tokenizer.find(kCompletionEnd);
  for (const auto& id : {roles.eos, completion_end}) {
    if (id) end_ids_.push_back(*id);
  }
  end_as_text_ = !completion_end;
  rows_.reserve(static_cast<std::size_t>(kPrefillRows));
  wanted_.reserve(static_cast<std::size_t>(kPrefillRows));
  cached_.reserve(static_cast<std::size_t>(model.config.context));
}

/// The token that stands before a text that has nothing before it.
std::int32_t Generator::text_start() const {
  const Tokenizer::Roles& roles = tokenizer_.roles();
  if (const auto id = tokenizer_.find(kTextEnd)) return *id;
  if (roles.eos) return *roles.eos;
  if (!model().config.eos.empty()) return model().config.eos.front();
  if (roles.bos) return *roles.bos;
  throw Error("The model has no end-of-text token, so an empty text has nothing to start from.");
}

std::vector<std::int32_t> Generator::question_prompt(std::string_view question) const {
  return dialogue_prompt({}, question);
}

std::vector<std::int32_t> Generator::dialogue_prompt(
    std::span<const std::pair<std::string, std::string>> turns, std::string_view question) const {
  if (!has_markers()) {
    throw Error(std::string("This model knows no questions and answers (its tokenizer has no ") +
                kStartMarker + " and " + kEndMarker +
                "); use --raw to have a text completed as it stands.");
  }
  std::vector<std::int32_t> ids;
  const auto add = [&](std::string_view text) {
    const auto part = tokenizer_.encode(text, Tokenizer::Added::kPlainText);
    ids.insert(ids.end(), part.begin(), part.end());
  };
  const auto ask = [&](std::string_view text) {
    ids.push_back(markers_->start);
    add(text);
    ids.push_back(markers_->end);
  };
  for (const auto& [earlier_question, answer] : turns) {
    ask(earlier_question);
    add(answer);
    if (!end_ids_.empty()) ids.push_back(end_ids_.back());
  }
  ask(question);
  return ids;
}

std::vector<std::int32_t> Generator::raw_prompt(std::string_view text) const {
  std::vector<std::int32_t> ids = tokenizer_.encode(text, Tokenizer::Added::kPlainText);
  if (ids.empty()) ids.push_back(text_start());
  return ids;
}

void Generator::check_ids(std::span<const std::int32_t> ids) const {
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= model().config.vocab) {
      throw Error("The tokenizer gives id " + std::to_string(id) +
                  ", but the model's vocabulary has " + std::to_string(model().config.vocab) +
                  " entries; the folder mixes files of different models.");
    }
  }
}

/// Runs `ids` as positions position.. of the one slot; logits of the last `wanted` of them.
std::span<const float> Generator::feed(std::span<const std::int32_t> ids, std::int64_t position,
                                       std::int64_t wanted) {
  rows_.clear();
  wanted_.clear();
  const auto count = static_cast<std::int64_t>(ids.size());
  for (std::int64_t i = 0; i < count; ++i) {
    rows_.push_back({.token = ids[static_cast<std::size_t>(i)],
                     .slot = 0,
                     .position = static_cast<std::int32_t>(position + i)});
    if (i >= count - wanted) wanted_.push_back(static_cast<std::int32_t>(i));
  }
  cached_.resize(static_cast<std::size_t>(position));
  cached_.insert(cached_.end(), ids.begin(), ids.end());
  return session_.forward(rows_, wanted_);
}

/// Brings the prompt into the cache and returns the logits after it; what the cache holds of it
/// already (an earlier answer's prompt, the dialogue so far) is not computed again. Empty when
/// cancelled.
std::span<const float> Generator::prefill(std::span<const std::int32_t> prompt,
                                          const std::atomic<bool>* cancel) {
  const auto known =
      std::mismatch(prompt.begin(), prompt.end() - 1, cached_.begin(), cached_.end());
  auto position = known.first - prompt.begin();
  const auto size = static_cast<std::int64_t>(prompt.size());
  std::span<const float> logits;
  while (position < size) {
    if (cancel != nullptr && *cancel) return {};
    const std::int64_t rows = std::min(size - position, session_.limits().rows);
    const std::span<const std::int32_t> part =
        prompt.subspan(static_cast<std::size_t>(position), static_cast<std::size_t>(rows));
    logits = feed(part, position, position + rows == size ? 1 : 0);
    position += rows;
  }
  return logits;
}

Answer Generator::generate(std::span<const std::int32_t> prompt, const GenerateOptions& options,
                           const std::function<void(std::string_view)>& on_text,
                           const std::atomic<bool>* cancel) {
  const auto started = std::chrono::steady_clock::now();
  const std::int64_t context = session_.limits().context;
  Answer answer;
  answer.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  if (answer.prompt_tokens >= context) {
    throw Error("The question is too long: it takes " + std::to_string(prompt.size()) +
                " tokens with its markers, but the model's context holds " +
                std::to_string(context) + " including at least one of the answer.");
  }
  check_ids(prompt);
  std::vector<std::string> stops = options.stop;
  if (end_as_text_) stops.emplace_back(kCompletionEnd);
  AnswerText text(std::move(stops));
  const auto emit = [&](const std::string& part) {
    if (on_text && !part.empty()) on_text(part);
  };

  std::vector<std::int32_t> history(prompt.begin(), prompt.end());
  const std::int64_t limit = std::min(options.max_new_tokens, context - answer.prompt_tokens);
  history.reserve(prompt.size() + static_cast<std::size_t>(limit));
  std::span<const float> logits = prefill(prompt, cancel);
  answer.finish = logits.empty() ? FinishReason::kInterrupted : FinishReason::kLength;
  auto first = started;
  for (std::int64_t i = 0; i < limit && !logits.empty(); ++i) {
    const std::int32_t token =
        sampler_.sample(logits, {history, answer.prompt_tokens, end_ids_}, options.sampling,
                        {options.seed, options.answer, static_cast<std::uint32_t>(i)});
    if (options.logprob) answer.logprob += log_probability(logits, token);
    history.push_back(token);
    if (i == 0) {
      answer.first_token_seconds = seconds_since(started);
      first = std::chrono::steady_clock::now();
    }
    if (std::find(end_ids_.begin(), end_ids_.end(), token) != end_ids_.end()) {
      answer.finish = FinishReason::kStop;
      break;
    }
    if (!tokenizer_.is_special(token)) emit(text.push(tokenizer_.bytes(token)));
    if (text.stopped()) {
      answer.finish = FinishReason::kStop;
      break;
    }
    if (cancel != nullptr && *cancel) {
      answer.finish = FinishReason::kInterrupted;
      break;
    }
    if (i + 1 < limit) {
      logits = feed(std::span(history).last(1), answer.prompt_tokens + i, 1);
    }
  }
  answer.decode_seconds = seconds_since(first);
  emit(text.finish());
  answer.text = text.text();
  answer.token_ids.assign(history.begin() + answer.prompt_tokens, history.end());
  return answer;
}

Score Generator::score(std::string_view context, std::string_view continuation) {
  std::vector<std::int32_t> ids = tokenizer_.encode(context, Tokenizer::Added::kPlainText);
  if (ids.empty()) ids.push_back(text_start());
  const auto first = static_cast<std::int64_t>(ids.size());  // of the continuation
  const auto rest = tokenizer_.encode(continuation, Tokenizer::Added::kPlainText);
  ids.insert(ids.end(), rest.begin(), rest.end());
  const auto rows = static_cast<std::int64_t>(ids.size()) - 1;  // the last id predicts nothing here
  if (rows > session_.limits().context) {
    throw Error("The text is too long to score: it takes " + std::to_string(rows) +
                " tokens, but the model's context holds " +
                std::to_string(session_.limits().context) + ".");
  }
  check_ids(ids);
  Score score;
  if (rest.empty()) return score;
  for (std::int64_t at = 0; at < rows;) {
    // Up to the continuation no logits are wanted, so those chunks may be larger.
    const bool scored = at >= first - 1;
    const std::int64_t most =
        scored ? session_.limits().wanted : std::min(session_.limits().rows, first - 1 - at);
    const std::int64_t count = std::min(rows - at, most);
    const std::span<const std::int32_t> part = std::span<const std::int32_t>(ids).subspan(
        static_cast<std::size_t>(at), static_cast<std::size_t>(count));
    const std::span<const float> logits = feed(part, at, scored ? count : 0);
    for (std::int64_t i = 0; scored && i < count; ++i) {
      const auto vocab = static_cast<std::size_t>(model().config.vocab);
      const auto row = logits.subspan(static_cast<std::size_t>(i) * vocab, vocab);
      const std::int32_t id = ids[static_cast<std::size_t>(at + i + 1)];
      const double logprob = log_probability(row, id);
      if (std::isnan(logprob))
        throw Error("The model's output is not a number; its weights are damaged.");
      score.tokens.push_back({id, logprob});
      score.logprob += logprob;
      score.is_greedy = score.is_greedy && *std::max_element(row.begin(), row.end()) <=
                                               row[static_cast<std::size_t>(id)];
    }
    at += count;
  }
  return score;
}

}  // namespace aira
