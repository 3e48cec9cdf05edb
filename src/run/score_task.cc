// Windows as lm-evaluation-harness's get_rolling_token_windows makes them with a context length of
// one: each predicts as many new ids as the context holds, and the last one, which has fewer left,
// fills its context with the ids before them.
#include "run/score_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "aira/error.h"
#include "run/log_softmax.h"

namespace aira {

ScoreTask::ScoreTask(ScoreRequest request, std::int64_t context,
                     std::shared_ptr<Pending<Score>> pending)
    : request_(std::move(request)),
      context_(context),
      pending_(std::move(pending)),
      window_first_(request_.first) {
  const auto size = static_cast<std::int64_t>(request_.ids.size());
  pending_->done = window_first_ >= size;
  prepared_.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, size - window_first_)));
}

std::int64_t ScoreTask::window_end() const {
  // A first window that begins with a context of its own has room for what that leaves.
  const std::int64_t most = window_first_ <= context_ ? context_ + 1 : window_first_ + context_;
  return std::min(static_cast<std::int64_t>(request_.ids.size()), most);
}

void ScoreTask::advance(Streams& streams) {
  if (stream_ != nullptr && stream_->pending() == 0) close(streams);
  if (stream_ != nullptr || done() || streams.free() == 0) return;
  const std::int64_t end = window_end();
  const std::int64_t begin = std::max<std::int64_t>(0, end - 1 - context_);
  const std::span<const std::int32_t> ids(request_.ids);
  stream_ = &streams.start(
      *this,
      ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - 1 - begin)),
      window_first_ - 1 - begin);
  window_begin_ = begin;
  window_first_ = end;
}

void ScoreTask::prepare(Stream& /*stream*/, std::int64_t position, std::span<const float> logits,
                        Sampler& /*sampler*/) {
  const auto next = static_cast<std::size_t>(window_begin_ + position + 1);
  const std::int32_t id = request_.ids[next];
  const float highest = *std::max_element(logits.begin(), logits.end());
  prepared_[next - static_cast<std::size_t>(request_.first)] = {
      .logprob = log_probability(logits, id),
      .is_greedy = highest <= logits[static_cast<std::size_t>(id)]};
}

void ScoreTask::take(Stream& /*stream*/, std::int64_t /*position*/,
                     std::span<const float> /*logits*/, Streams& /*streams*/) {
  Score& score = pending_->result;
  const Prepared& one = prepared_[score.tokens.size()];
  const auto next = static_cast<std::size_t>(request_.first) + score.tokens.size();
  if (std::isnan(one.logprob)) throw Error(kNoNumber);
  score.tokens.push_back({request_.ids[next], one.logprob});
  score.logprob += one.logprob;
  score.is_greedy = score.is_greedy && one.is_greedy;
  pending_->done = next + 1 == request_.ids.size();
}

void ScoreTask::fail(const std::string& problem) {
  pending_->problem = problem;
  pending_->done = true;
}

void ScoreTask::close(Streams& streams) {
  if (stream_ != nullptr) streams.close(*stream_);
  stream_ = nullptr;
}

}  // namespace aira
