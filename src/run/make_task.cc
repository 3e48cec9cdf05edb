// From requests to tasks; those that can never be done are refused.
#include <algorithm>

#include "run/scheduler.h"

namespace aira {
namespace {

void check_ids(std::span<const std::int32_t> ids, std::int64_t vocab, const char* name) {
  for (const std::int32_t id : ids) {
    if (id >= 0 && id < vocab) continue;
    throw Error("[E020] Token id {} in {} is out of range 0..{}.",
                {std::to_string(id), option(name), std::to_string(vocab - 1)});
  }
}

void check_text(std::span<const std::int32_t> ids, std::int64_t vocab) {
  for (const std::int32_t id : ids) {
    if (id >= 0 && id < vocab) continue;
    throw Error(
        "[E021] Token id {} is out of range 0..{}; if it came from a text, the model folder mixes "
        "files of different models.",
        {std::to_string(id), std::to_string(vocab - 1)});
  }
}

/// All that comes of a request is in memory at once.
void check_amount(const GenerateOptions& options) {
  constexpr std::int64_t kMost = 2'000'000;
  const std::int64_t answers = std::max(options.answers, options.best_of);
  const std::int64_t tokens = options.max_new_tokens;
  const std::int64_t logprobs = std::max<std::int64_t>(options.logprobs, 1);
  if (answers <= kMost / (tokens * logprobs)) return;
  const char* several = options.best_of > options.answers ? "best_of" : "num_return_sequences";
  throw Error(
      "[E686] {} {}, {} {} and {} {} are too much for one request: their product may be at most "
      "{}.",
      {option(several), std::to_string(answers), option("max_new_tokens"), std::to_string(tokens),
       option("logprobs"), std::to_string(logprobs), std::to_string(kMost)});
}

void check_question(const GenerateRequest& request, const ModelConfig& model, std::int64_t slots) {
  const GenerateOptions& options = request.options;
  options.validate();
  for (const auto& [id, bias] : options.sampling.logit_bias) {
    check_ids({&id, 1}, model.vocab, "logit_bias");
  }
  for (const std::vector<std::int32_t>& word : options.sampling.bad_words) {
    check_ids(word, model.vocab, "bad_words_ids");
  }
  for (const auto& [ids, bias] : options.sampling.sequence_bias) {
    check_ids(ids, model.vocab, "sequence_bias");
  }
  check_ids(options.sampling.forced_bos_token_id, model.vocab, "forced_bos_token_id");
  check_ids(options.sampling.forced_eos_token_id, model.vocab, "forced_eos_token_id");
  if (request.prompt.empty()) throw Error("[E022] The prompt is empty.");
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt >= model.context) {
    throw Error(
        "[E023] The question is too long: it takes {} tokens with its markers, but the model's "
        "context holds {} including at least one of the answer.",
        {std::to_string(prompt), std::to_string(model.context)});
  }
  if (options.max_length > 0 && prompt >= options.max_length) {
    throw Error(
        "[E024] The prompt takes {} tokens, but {} allows {} with the answer; raise it, or use {}.",
        {std::to_string(prompt), option("max_length"), std::to_string(options.max_length),
         option("max_new_tokens")});
  }
  if (options.num_beams > slots) {
    throw Error(
        "[E025] A search with {} beams needs as many sequences at once; this run has {} ({}).",
        {std::to_string(options.num_beams), std::to_string(slots), "--batch"});
  }
  check_text(request.prompt, model.vocab);
}

void check_score(const ScoreRequest& request, const ModelConfig& model) {
  const auto rows = static_cast<std::int64_t>(request.ids.size()) - 1;  // the last predicts nothing
  if (!request.rolling && rows > model.context) {
    throw Error(
        "[E026] The text is too long to score: it takes {} tokens, but the model's context holds "
        "{}.",
        {std::to_string(rows), std::to_string(model.context)});
  }
  check_text(request.ids, model.vocab);
}

}  // namespace

std::shared_ptr<Task> Scheduler::make_task(Request request, Listener listener) const {
  const ModelConfig& model = model_.config;
  if (auto* score = std::get_if<ScoreRequest>(&request)) {
    check_score(*score, model);
    return make_score_task(std::move(*score), std::move(listener), context_);
  }
  auto& question = std::get<GenerateRequest>(request);
  check_question(question, model, sequences_.slots());
  GenerateOptions& options = question.options;
  // A word's ids at the beginning of a text and after a space are not the same.
  for (const std::string& word : options.bad_words) {
    for (const std::string& form : {word, " " + word}) {
      auto ids = context_.tokenizer.encode(form, Tokenizer::Added::kPlainText);
      // None where the vocabulary lacks its letters, and then it cannot come up.
      if (!ids.empty()) options.sampling.bad_words.push_back(std::move(ids));
    }
  }
  // A model whose vocabulary lacks the end marker spells it out.
  if (!context_.tokenizer.find(kCompletionEnd)) options.stop.emplace_back(kCompletionEnd);
  std::vector<std::int32_t>& ends = options.eos_token_id;
  if (ends.empty()) {
    ends = context_.end_ids;
  } else if (const auto id = context_.tokenizer.find(kCompletionEnd)) {
    ends.push_back(*id);  // whatever else ends an answer
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  if (!question.candidates.empty()) {
    return make_choice_task(std::move(question), std::move(listener), context_, sequences_.slots());
  }
  const auto prompt = static_cast<std::int64_t>(question.prompt.size());
  if (options.max_length > 0) options.max_new_tokens = options.max_length - prompt;
  options.max_new_tokens = std::min(options.max_new_tokens, model.context - prompt);
  check_amount(options);
  std::int64_t& least = options.sampling.min_new_tokens;
  least = std::max(least, options.min_length - prompt);
  const auto make = options.num_beams > 1 ? make_beam_task : make_answer_task;
  return make(std::move(question), std::move(listener), context_);
}

}  // namespace aira
