// The log-likelihood of a text, one window of at most a context after another: windows as
// lm-evaluation-harness's get_rolling_token_windows makes them with a context length of one. Each
// predicts as many new ids as the context holds, and the last one, which has fewer left, fills its
// context with the ids before them.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "run/task.h"

namespace aira {
namespace {

class ScoreTask final : public Task {
 public:
  ScoreTask(ScoreRequest request, Listener listener, const TaskContext& context)
      : Task(std::move(listener)),
        request_(std::move(request)),
        context_(context.context),
        window_first_(request_.first) {
    const auto size = static_cast<std::int64_t>(request_.ids.size());
    score_.tokens.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, size - window_first_)));
    if (request_.logprobs >= 0) score_.top.resize(score_.tokens.size());
  }

  void advance(Sequences& sequences) override;
  void evaluate(const Sequence& sequence, std::int64_t position, std::span<const float> logits,
                Sampler& sampler) override;
  void accept(Sequence& /*sequence*/, Choice /*choice*/, Sequences& /*sequences*/) override {
    if (++accepted_ == score_.tokens.size()) deliver();
  }
  void cancel() override { fail(Error("[E030] The scoring was interrupted.")); }

 private:
  /// One past the last id that the next window predicts.
  std::int64_t window_end() const {
    // A first window that begins with a context of its own has room for what that leaves.
    const std::int64_t most = window_first_ <= context_ ? context_ + 1 : window_first_ + context_;
    return std::min(static_cast<std::int64_t>(request_.ids.size()), most);
  }
  void deliver();

  ScoreRequest request_;
  std::int64_t context_;
  Score score_;                         // tokens: [ids from request_.first on]
  std::atomic<bool> is_greedy_ = true;  // threads may write it side by side
  std::size_t accepted_ = 0;
  std::int64_t window_begin_ = 0;  // the id at position 0 of the current window
  std::int64_t window_first_;      // the first id that the next window predicts
  Sequence* sequence_ = nullptr;
};

void ScoreTask::advance(Sequences& sequences) {
  if (score_.tokens.empty()) return deliver();
  if (sequence_ != nullptr && sequence_->pending() == 0) {
    sequences.close(*sequence_);
    sequence_ = nullptr;
  }
  if (sequence_ != nullptr || sequences.free() == 0) return;
  const std::int64_t end = window_end();
  window_begin_ = std::max<std::int64_t>(0, end - 1 - context_);
  const auto window = std::span(request_.ids)
                          .subspan(static_cast<std::size_t>(window_begin_),
                                   static_cast<std::size_t>(end - 1 - window_begin_));
  sequence_ = &sequences.start(*this, window, window_first_ - 1 - window_begin_);
  window_first_ = end;
}

void ScoreTask::evaluate(const Sequence& /*sequence*/, std::int64_t position,
                         std::span<const float> logits, Sampler& /*sampler*/) {
  const auto next = static_cast<std::size_t>(window_begin_ + position + 1);
  const std::int32_t id = request_.ids[next];
  const LogSoftmax distribution(logits);
  if (!std::isfinite(distribution[id])) throw_not_a_number();
  const std::size_t place = next - static_cast<std::size_t>(request_.first);
  score_.tokens[place] = {id, distribution[id]};
  if (request_.logprobs >= 0) score_.top[place] = distribution.top(request_.logprobs);
  if (logits[static_cast<std::size_t>(id)] < distribution.highest()) is_greedy_ = false;
}

void ScoreTask::deliver() {
  for (const TokenLogProbability& token : score_.tokens) score_.logprob += token.log_probability;
  score_.is_greedy = is_greedy_;
  if (listener().scored) post([this] { listener().scored(score_); });
  finish();
}

}  // namespace

std::shared_ptr<Task> make_score_task(ScoreRequest request, Listener listener,
                                      const TaskContext& context) {
  return std::make_shared<ScoreTask>(std::move(request), std::move(listener), context);
}

}  // namespace aira
