// Windows as lm-evaluation-harness's get_rolling_token_windows makes them with a context length of
// one: each predicts as many new ids as the context holds, and the last one, which has fewer left,
// fills its context with the ids before them.
#include "run/score_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "run/log_softmax.h"
#include "run/processors.h"

namespace aira {

ScoreTask::ScoreTask(ScoreRequest request, Listener listener, const TaskContext& context)
    : Task(std::move(listener)),
      request_(std::move(request)),
      context_(context.context),
      window_first_(request_.first) {
  const auto size = static_cast<std::int64_t>(request_.ids.size());
  score_.tokens.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, size - window_first_)));
  is_greedy_.resize(score_.tokens.size());
}

std::int64_t ScoreTask::window_end() const {
  // A first window that begins with a context of its own has room for what that leaves.
  const std::int64_t most = window_first_ <= context_ ? context_ + 1 : window_first_ + context_;
  return std::min(static_cast<std::int64_t>(request_.ids.size()), most);
}

void ScoreTask::advance(Sequences& sequences) {
  if (score_.tokens.empty()) return deliver();
  if (sequence_ != nullptr && sequence_->pending() == 0) {
    sequences.close(*sequence_);
    sequence_ = nullptr;
  }
  if (sequence_ != nullptr || sequences.free() == 0) return;
  const std::int64_t end = window_end();
  const std::int64_t begin = std::max<std::int64_t>(0, end - 1 - context_);
  const auto window =
      std::span(request_.ids)
          .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - 1 - begin));
  sequence_ = &sequences.start(*this, window, window_first_ - 1 - begin);
  window_begin_ = begin;
  window_first_ = end;
}

void ScoreTask::evaluate(const Sequence& /*sequence*/, std::int64_t position,
                         std::span<const float> logits, Sampler& /*sampler*/) {
  const auto next = static_cast<std::size_t>(window_begin_ + position + 1);
  const std::int32_t id = request_.ids[next];
  const LogSoftmax distribution(logits);
  if (std::isnan(distribution[id])) throw_not_a_number();
  const std::size_t place = next - static_cast<std::size_t>(request_.first);
  score_.tokens[place] = {id, distribution[id]};
  is_greedy_[place] = distribution.highest() <= logits[static_cast<std::size_t>(id)] ? 1 : 0;
}

void ScoreTask::accept(Sequence& /*sequence*/, std::int64_t /*position*/, Outcome /*outcome*/,
                       Sequences& /*sequences*/) {
  if (++accepted_ == score_.tokens.size()) deliver();
}

void ScoreTask::deliver() {
  for (std::size_t i = 0; i < score_.tokens.size(); ++i) {
    score_.logprob += score_.tokens[i].log_probability;
    score_.is_greedy = score_.is_greedy && is_greedy_[i] != 0;
  }
  finish();
  if (listener().scored) listener().scored(score_);
}

}  // namespace aira
