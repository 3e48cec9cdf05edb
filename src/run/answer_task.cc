// One question's answers by sampling. The prompt is computed once; each answer is a branch that
// goes on from it with a random stream of its own.
#include <algorithm>
#include <map>

#include "run/answer_text.h"
#include "run/task.h"

namespace aira {
namespace {

double mean_logprob(const Answer& answer) {
  return answer.logprob / static_cast<double>(std::max<std::size_t>(1, answer.token_ids.size()));
}

class AnswerTask final : public Task {
 public:
  AnswerTask(GenerateRequest request, Listener listener, const TaskContext& context)
      : Task(std::move(listener)),
        request_(std::move(request)),
        context_(context),
        count_(
            static_cast<std::size_t>(std::max(request_.options.answers, request_.options.best_of))),
        prompt_(static_cast<std::int64_t>(request_.prompt.size())) {}

  void advance(Sequences& sequences) override;
  Want want(const Sequence& sequence) override;
  void accept(Sequence& sequence, Choice choice, Sequences& sequences) override;
  void cancel() override;

 private:
  /// An answer being written.
  struct Branch {
    std::size_t number;
    Sequence* sequence;
    AnswerText text;
    Answer answer = {};
    std::chrono::steady_clock::time_point first_token = {};
    bool ended = false;
  };

  Branch& branch_of(const Sequence& sequence) {
    return *std::find_if(branches_.begin(), branches_.end(),
                         [&](const Branch& branch) { return branch.sequence == &sequence; });
  }
  /// Whether the answers are ranked by their log-probability before any is delivered.
  bool ranked() const { return request_.options.best_of > 1; }
  void send(const Branch& branch, std::string text) {
    if (!listener().text || text.empty() || ranked()) return;
    post([this, number = branch.number, text = std::move(text)] { listener().text(number, text); });
  }
  Answer ended(Branch& branch, FinishReason finish);
  void end(Branch& branch, FinishReason reason);

  GenerateRequest request_;
  const TaskContext& context_;
  std::chrono::steady_clock::time_point started_ = {};
  std::size_t count_;      // answers to write
  std::size_t begun_ = 0;  // answers begun so far
  std::int64_t prompt_;    // tokens
  std::vector<Branch> branches_;
  std::map<std::size_t, Answer> ended_;  // by number, not delivered yet
  std::size_t delivered_ = 0;
};

// The first branch computes the prompt. Others fork from any branch that has it, and compute its
// last position again to get logits of their own; without one, the prefix cache still has most of
// the prompt.
void AnswerTask::advance(Sequences& sequences) {
  std::erase_if(branches_, [&](const Branch& branch) {
    if (branch.ended) sequences.close(*branch.sequence);
    return branch.ended;
  });
  if (begun_ == 0) started_ = std::chrono::steady_clock::now();
  while (begun_ < count_ && sequences.free() > 0) {
    Sequence* sequence = nullptr;
    if (branches_.empty()) {
      sequence = &sequences.start(*this, request_.prompt, prompt_ - 1);
    } else if (const Sequence& parent = *branches_.front().sequence; parent.cached >= prompt_ - 1) {
      sequence = &sequences.fork(parent, prompt_ - 1);
      sequence->ids.push_back(request_.prompt.back());
    } else {
      return;  // the prompt is still being computed
    }
    branches_.push_back(
        {begun_++, sequence, AnswerText(request_.options.stop, request_.keep_space)});
    branches_.back().answer.prompt_tokens = prompt_;
  }
}

Want AnswerTask::want(const Sequence& sequence) {
  const GenerateOptions& options = request_.options;
  const std::int64_t generated = static_cast<std::int64_t>(sequence.ids.size()) - prompt_;
  const bool scored = options.logprob || ranked();
  return {.sampling = &options.sampling,
          .history = {.ids = sequence.ids,
                      .prompt = prompt_,
                      .end_ids = options.eos_token_id,
                      .longest = prompt_ + options.max_new_tokens},
          .place = {options.seed, static_cast<std::uint32_t>(branch_of(sequence).number),
                    static_cast<std::uint32_t>(generated)},
          .last = generated + 1 == options.max_new_tokens,
          .logprobs = std::max<std::int64_t>(options.logprobs, scored ? 0 : -1)};
}

void AnswerTask::accept(Sequence& sequence, Choice choice, Sequences& /*sequences*/) {
  Branch& branch = branch_of(sequence);
  if (branch.ended) return;  // a token drawn ahead
  const GenerateOptions& options = request_.options;
  Answer& answer = branch.answer;
  const auto [token, logprob] = choice.chosen;
  answer.token_ids.push_back(token);
  answer.logprob += logprob;
  if (listener().token) {
    post([this, number = branch.number, choice] { listener().token(number, choice); });
  }
  if (options.logprobs >= 0) answer.choices.push_back(std::move(choice));
  if (answer.token_ids.size() == 1) {
    answer.first_token_seconds = seconds_since(started_);
    branch.first_token = std::chrono::steady_clock::now();
  }
  const auto& ends = options.eos_token_id;
  if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
    return end(branch, FinishReason::kStop);
  }
  if (!context_.tokenizer.is_special(token)) {
    send(branch, branch.text.push(context_.tokenizer.bytes(token)));
  }
  const auto before = static_cast<std::size_t>(prompt_) + answer.token_ids.size() - 1;
  if (branch.text.stopped() ||
      completes(options.stop, std::span(sequence.ids).first(before), token, context_.bytes_of())) {
    end(branch, FinishReason::kStop);
  } else if (options.stop_on_loop && repeats(answer.token_ids)) {
    end(branch, FinishReason::kLoop);
  } else if (static_cast<std::int64_t>(answer.token_ids.size()) == options.max_new_tokens) {
    end(branch, FinishReason::kLength);
  }
}

/// The branch's answer as it stands.
Answer AnswerTask::ended(Branch& branch, FinishReason finish) {
  branch.ended = true;
  Answer& answer = branch.answer;
  answer.finish = finish;
  if (!answer.token_ids.empty()) answer.decode_seconds = seconds_since(branch.first_token);
  send(branch, branch.text.finish());
  answer.text = branch.text.text();
  return std::move(answer);
}

/// Ends a branch and hands over complete answers in order.
void AnswerTask::end(Branch& branch, FinishReason reason) {
  ended_.emplace(branch.number, ended(branch, reason));
  if (ranked() && ended_.size() < count_) return;
  std::vector<Answer> answers;
  while (!ended_.empty() && ended_.begin()->first == delivered_ + answers.size()) {
    answers.push_back(std::move(ended_.extract(ended_.begin()).mapped()));
  }
  const bool last = delivered_ + answers.size() == count_;
  if (ranked()) {
    std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) {
      return mean_logprob(a) > mean_logprob(b);
    });
    answers.resize(static_cast<std::size_t>(request_.options.answers));
  }
  for (Answer& answer : answers) hand_over(delivered_++, std::move(answer));
  if (last) finish();
}

void AnswerTask::cancel() {
  if (done()) return;
  Answer answer;  // if it has not begun
  for (Branch& branch : branches_) {
    if (branch.number == delivered_ && !branch.ended) {
      answer = ended(branch, FinishReason::kInterrupted);
    }
  }
  answer.finish = FinishReason::kInterrupted;
  hand_over(delivered_, std::move(answer));
  finish();
}

}  // namespace

std::shared_ptr<Task> make_answer_task(GenerateRequest request, Listener listener,
                                       const TaskContext& context) {
  return std::make_shared<AnswerTask>(std::move(request), std::move(listener), context);
}

}  // namespace aira
