#include "run/answer_task.h"

#include <algorithm>
#include <utility>

namespace aira {
namespace {

double mean_logprob(const Answer& answer) {
  return answer.logprob / static_cast<double>(std::max<std::size_t>(1, answer.token_ids.size()));
}

}  // namespace

std::int64_t token_limit(const GenerateRequest& request, const TaskContext& context) {
  return std::min(request.options.max_new_tokens,
                  context.context - static_cast<std::int64_t>(request.prompt.size()));
}

std::vector<std::string> stop_texts(const GenerateRequest& request, const TaskContext& context) {
  std::vector<std::string> stops = request.options.stop;
  // A model whose vocabulary lacks the end marker spells it out.
  if (!context.tokenizer.find(kCompletionEnd)) stops.emplace_back(kCompletionEnd);
  return stops;
}

AnswerTask::AnswerTask(GenerateRequest request, Listener listener, const TaskContext& context)
    : Task(std::move(listener)),
      request_(std::move(request)),
      context_(context),
      count_(
          static_cast<std::size_t>(std::max(request_.options.answers, request_.options.best_of))),
      limit_(token_limit(request_, context)),
      stops_(stop_texts(request_, context)) {}

// The first branch computes the prompt. Others fork from any branch that has it, and compute its
// last position again to get logits of their own; without one, the prefix cache still has most of
// the prompt.
void AnswerTask::advance(Sequences& sequences) {
  for (const auto& branch : branches_) {
    if (branch->ended) sequences.close(*branch->sequence);
  }
  std::erase_if(branches_, [](const auto& branch) { return branch->ended; });
  if (started_ == std::chrono::steady_clock::time_point()) {
    started_ = std::chrono::steady_clock::now();
  }
  const std::int64_t last = static_cast<std::int64_t>(request_.prompt.size()) - 1;
  while (begun_ < count_ && sequences.free() > 0) {
    Sequence* sequence = nullptr;
    if (branches_.empty()) {
      sequence = &sequences.start(*this, request_.prompt, last);
    } else if (const Sequence& parent = *branches_.front()->sequence; parent.cached >= last) {
      sequence = &sequences.fork(parent, last);
      sequence->ids.push_back(request_.prompt.back());
    } else {
      break;  // the prompt is still being computed
    }
    Branch& branch = *branches_.emplace_back(std::make_unique<Branch>(stops_));
    branch.number = begun_++;
    branch.sequence = sequence;
    branch.answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
  }
}

AnswerTask::Branch& AnswerTask::branch_of(const Sequence& sequence) const {
  return **std::find_if(branches_.begin(), branches_.end(),
                        [&](const auto& branch) { return branch->sequence == &sequence; });
}

Want AnswerTask::want(const Sequence& sequence, std::int64_t /*position*/) const {
  const GenerateOptions& options = request_.options;
  const auto prompt = static_cast<std::int64_t>(request_.prompt.size());
  const std::int64_t generated = static_cast<std::int64_t>(sequence.ids.size()) - prompt;
  const bool scored = options.logprob || options.best_of > 1;
  return {.sampling = &options.sampling,
          .history = {.ids = sequence.ids, .prompt = prompt, .end_ids = context_.end_ids},
          .place = {options.seed, static_cast<std::uint32_t>(branch_of(sequence).number),
                    static_cast<std::uint32_t>(generated)},
          .last = generated + 1 == limit_,
          .logprobs = std::max<std::int64_t>(options.logprobs, scored ? 0 : -1)};
}

/// Answers to the best of several are ranked before anyone sees them.
void AnswerTask::send(const Branch& branch, const std::string& text) const {
  if (listener().text && !text.empty() && request_.options.best_of <= 1) {
    listener().text(branch.number, text);
  }
}

void AnswerTask::accept(Sequence& sequence, std::int64_t /*position*/, Outcome outcome,
                        Sequences& /*sequences*/) {
  Branch& branch = branch_of(sequence);
  if (branch.ended) return;  // a token drawn ahead
  Answer& answer = branch.answer;
  answer.token_ids.push_back(outcome.token);
  answer.logprob += outcome.choice.chosen.log_probability;
  if (request_.options.logprobs >= 0) answer.choices.push_back(std::move(outcome.choice));
  if (answer.token_ids.size() == 1) {
    answer.first_token_seconds = seconds_since(started_);
    branch.first_token = std::chrono::steady_clock::now();
  }
  const auto& ends = context_.end_ids;
  if (std::find(ends.begin(), ends.end(), outcome.token) != ends.end()) {
    return end(branch, FinishReason::kStop);
  }
  if (!context_.tokenizer.is_special(outcome.token)) {
    send(branch, branch.text.push(context_.tokenizer.bytes(outcome.token)));
  }
  if (branch.text.stopped()) {
    end(branch, FinishReason::kStop);
  } else if (request_.options.stop_on_loop && branch.guard.push(answer.token_ids)) {
    end(branch, FinishReason::kLoop);
  } else if (static_cast<std::int64_t>(answer.token_ids.size()) == limit_) {
    end(branch, FinishReason::kLength);
  }
}

void AnswerTask::end(Branch& branch, FinishReason finish) {
  branch.ended = true;
  Answer& answer = branch.answer;
  answer.finish = finish;
  if (!answer.token_ids.empty()) answer.decode_seconds = seconds_since(branch.first_token);
  send(branch, branch.text.finish());
  answer.text = branch.text.text();
  ended_.emplace(branch.number, std::move(answer));
  deliver();
}

/// Hands over complete answers in order, or all at once where they are to be ranked.
void AnswerTask::deliver() {
  const bool ranked = request_.options.best_of > 1;
  if (ranked && ended_.size() < count_) return;
  std::vector<Answer> answers;
  for (std::size_t number = delivered_; ended_.count(number) != 0; ++number) {
    answers.push_back(std::move(ended_.extract(number).mapped()));
  }
  if (ranked) {
    std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) {
      return mean_logprob(a) > mean_logprob(b);
    });
    answers.resize(static_cast<std::size_t>(request_.options.answers));
  }
  if (ranked || delivered_ + answers.size() == count_) finish();
  for (const Answer& answer : answers) {
    if (listener().finished) listener().finished(delivered_, answer);
    ++delivered_;
  }
}

void AnswerTask::cancel() {
  if (done()) return;
  finish();
  Answer answer;  // if it has not begun
  for (const auto& branch : branches_) {
    if (branch->number != delivered_ || branch->ended) continue;
    send(*branch, branch->text.finish());
    branch->answer.text = branch->text.text();
    if (!branch->answer.token_ids.empty()) {
      branch->answer.decode_seconds = seconds_since(branch->first_token);
    }
    answer = std::move(branch->answer);
  }
  answer.finish = FinishReason::kInterrupted;
  if (listener().finished) listener().finished(delivered_, answer);
}

}  // namespace aira
