#include "run/answer_task.h"

#include <algorithm>
#include <utility>

#include "aira/error.h"
#include "run/device_draw.h"
#include "run/log_softmax.h"
#include "run/prompts.h"
#include "run/seconds_since.h"

namespace aira {
namespace {

/// The log-probability of an answer's average token.
double normalised(const Answer& answer) {
  return answer.logprob / static_cast<double>(std::max<std::size_t>(1, answer.token_ids.size()));
}

}  // namespace

std::int64_t token_limit(const AnswerRequest& request, const AnswerTask::Surroundings& around) {
  return std::min(request.options.max_new_tokens,
                  around.context - static_cast<std::int64_t>(request.prompt.size()));
}

std::vector<std::string> stop_texts(const AnswerRequest& request,
                                    const AnswerTask::Surroundings& around) {
  std::vector<std::string> stops = request.options.stop;
  // A model whose vocabulary lacks the end marker spells it out.
  if (!around.tokenizer.find(kCompletionEnd)) stops.emplace_back(kCompletionEnd);
  return stops;
}

AnswerTask::AnswerTask(AnswerRequest request, const Surroundings& around,
                       std::shared_ptr<Pending<Answers>> pending)
    : request_(std::move(request)),
      around_(around),
      pending_(std::move(pending)),
      count_(
          static_cast<std::size_t>(std::max(request_.options.answers, request_.options.best_of))),
      limit_(token_limit(request_, around)),
      stops_(stop_texts(request_, around)) {}

void AnswerTask::advance(Streams& streams) {
  for (const auto& draft : drafts_) {
    if (draft->ended && draft->stream != nullptr) {
      streams.close(*draft->stream);
      draft->stream = nullptr;
    }
  }
  std::erase_if(drafts_, [](const auto& draft) { return draft->ended; });
  // Answers for which there was no room when the prompt was computed: what the cache still knows of
  // it is not computed again.
  if (begun_ == count_ || prompt_stream_ != nullptr || streams.free() == 0) return;
  if (!has_started_) {
    has_started_ = true;
    started_ = std::chrono::steady_clock::now();
  }
  prompt_stream_ =
      &streams.start(*this, request_.prompt, static_cast<std::int64_t>(request_.prompt.size()) - 1);
}

void AnswerTask::take(Stream& stream, std::int64_t /*position*/, std::span<const float> logits,
                      Streams& streams) {
  if (!from_prompt(stream)) {
    write(draft_at(stream));
    return;
  }
  // Every answer that there is room for begins here; the last one takes the prompt's own stream.
  prompt_stream_ = nullptr;
  const auto room = std::min(count_ - begun_, static_cast<std::size_t>(streams.free()) + 1);
  for (std::size_t i = 0; i < room; ++i) {
    Draft& draft = begin(i + 1 < room ? streams.fork(stream) : stream);
    draw(draft, logits, around_.sampler);
    write(draft);
  }
}

AnswerTask::Draft& AnswerTask::draft_at(const Stream& stream) const {
  const auto draft = std::find_if(drafts_.begin(), drafts_.end(),
                                  [&](const auto& d) { return d->stream == &stream; });
  return **draft;
}

AnswerTask::Draft& AnswerTask::begin(Stream& stream) {
  drafts_.push_back(std::make_unique<Draft>(stops_));
  drafts_.back()->number = begun_++;
  drafts_.back()->stream = &stream;
  pending_->result.list.emplace_back();
  complete_.push_back(false);
  Answer& answer = drafts_.back()->answer;
  answer.prompt_tokens = static_cast<std::int64_t>(request_.prompt.size());
  return *drafts_.back();
}

void AnswerTask::tell(const Draft& draft, const std::string& text) const {
  if (request_.on_text && !text.empty() && request_.options.best_of <= 1) {
    request_.on_text(draft.number, text);
  }
}

bool AnswerTask::needs_distribution() const {
  const GenerateOptions& options = request_.options;
  return options.logprob || options.best_of > 1 || options.logprobs >= 0;
}

DrawPlace AnswerTask::next_place(const Draft& draft) const {
  return {request_.options.seed, static_cast<std::uint32_t>(draft.number),
          static_cast<std::uint32_t>(draft.launched)};
}

History AnswerTask::history(const Stream& stream) const {
  return {.ids = stream.ids,
          .prompt = static_cast<std::int64_t>(request_.prompt.size()),
          .end_ids = around_.end_ids};
}

void AnswerTask::prepare(Stream& stream, std::int64_t /*position*/, std::span<const float> logits,
                         Sampler& sampler) {
  if (!from_prompt(stream)) draw(draft_at(stream), logits, sampler);
}

/// Draws the draft's next token.
void AnswerTask::draw(Draft& draft, std::span<const float> logits, Sampler& sampler) const {
  try {
    draft.drawn = sampler.sample(logits, history(*draft.stream), request_.options.sampling,
                                 next_place(draft));
  } catch (const Error& error) {
    draft.problem = error.what();
    return;
  }
  if (!needs_distribution()) return;
  const LogSoftmax distribution(logits);
  draft.choice.chosen = {draft.drawn, distribution[draft.drawn]};
  const std::int64_t top = request_.options.logprobs;
  if (top >= 0) draft.choice.top = distribution.top(top);
}

/// The drawn token becomes part of the answer.
void AnswerTask::write(Draft& draft) {
  if (draft.problem) throw Error(*draft.problem);
  ++draft.launched;
  if (needs_distribution()) draft.answer.logprob += draft.choice.chosen.log_probability;
  if (request_.options.logprobs >= 0) draft.answer.choices.push_back(std::move(draft.choice));
  draft.stream->ids.push_back(draft.drawn);
  accept(draft, draft.drawn);
}

/// Several answers begin with one row of logits, which only the host can draw from more than once.
const SamplingOptions* AnswerTask::draws() const {
  return count_ == 1 && !needs_distribution() ? &request_.options.sampling : nullptr;
}

DeviceDraw AnswerTask::launch(Stream& stream) {
  if (from_prompt(stream)) {
    prompt_stream_ = nullptr;
    begin(stream);
  }
  Draft& draft = draft_at(stream);
  const DeviceDraw draw =
      device_draw(request_.options.sampling, uniform(next_place(draft))).value();
  if (++draft.launched < limit_) stream.ids.push_back(kDrawnToken);
  return draw;
}

void AnswerTask::take_token(std::size_t number, std::int32_t token) {
  const auto draft = std::find_if(drafts_.begin(), drafts_.end(),
                                  [&](const auto& d) { return d->number == number && !d->ended; });
  if (draft == drafts_.end()) return;  // it ended before this one
  std::vector<std::int32_t>& ids = (*draft)->stream->ids;
  const std::size_t place = request_.prompt.size() + (*draft)->answer.token_ids.size();
  if (place < ids.size()) ids[place] = token;
  accept(**draft, token);
}

/// The draft's next token is known.
void AnswerTask::accept(Draft& draft, std::int32_t token) {
  const GenerateOptions& options = request_.options;
  Answer& answer = draft.answer;
  answer.token_ids.push_back(token);
  if (answer.token_ids.size() == 1) {
    answer.first_token_seconds = seconds_since(started_);
    draft.first_token = std::chrono::steady_clock::now();
  }
  const auto& ends = around_.end_ids;
  if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
    end(draft, FinishReason::kStop);
    return;
  }
  if (!around_.tokenizer.is_special(token)) {
    tell(draft, draft.text.push(around_.tokenizer.bytes(token)));
  }
  if (draft.text.stopped()) {
    end(draft, FinishReason::kStop);
  } else if (options.stop_on_loop && draft.guard.push(answer.token_ids)) {
    end(draft, FinishReason::kLoop);
  } else if (static_cast<std::int64_t>(answer.token_ids.size()) == limit_) {
    end(draft, FinishReason::kLength);
  }
}

/// The draft as it stands becomes the answer.
void AnswerTask::hand_over(Draft& draft, FinishReason finish_reason) {
  draft.ended = true;
  draft.answer.finish = finish_reason;
  draft.answer.decode_seconds =
      draft.answer.token_ids.empty() ? 0 : seconds_since(draft.first_token);
  tell(draft, draft.text.finish());
  draft.answer.text = draft.text.text();
  pending_->result.list[draft.number] = std::move(draft.answer);
}

void AnswerTask::end(Draft& draft, FinishReason finish_reason) {
  hand_over(draft, finish_reason);
  Answers& answers = pending_->result;
  complete_[draft.number] = true;
  ++ended_;
  if (ended_ == count_) {
    finish();
  } else if (request_.options.best_of <= 1) {
    while (answers.complete < begun_ && complete_[answers.complete]) ++answers.complete;
  }
}

void AnswerTask::finish() {
  Answers& answers = pending_->result;
  if (request_.options.best_of > 1) {
    std::stable_sort(
        answers.list.begin(), answers.list.end(),
        [](const Answer& a, const Answer& b) { return normalised(a) > normalised(b); });
    answers.list.resize(static_cast<std::size_t>(request_.options.answers));
  }
  answers.complete = answers.list.size();
  pending_->done = true;
}

void AnswerTask::cancel() {
  if (pending_->done) return;
  for (const auto& draft : drafts_) {
    if (!draft->ended) hand_over(*draft, FinishReason::kInterrupted);
  }
  Answers& answers = pending_->result;
  if (answers.complete == answers.list.size()) answers.list.emplace_back();  // one not begun
  // Nobody can say which one would have been the best of several.
  answers.list[answers.complete].finish = FinishReason::kInterrupted;
  pending_->done = true;
}

void AnswerTask::fail(const std::string& problem) {
  pending_->problem = problem;
  pending_->done = true;
}

void AnswerTask::close(Streams& streams) {
  for (const auto& draft : drafts_) {
    if (draft->stream != nullptr) streams.close(*draft->stream);
  }
  drafts_.clear();
  if (prompt_stream_ != nullptr) streams.close(*prompt_stream_);
  prompt_stream_ = nullptr;
}

}  // namespace aira
