// The most probable of given texts as the answer to a question. A text is tokenised by itself, as
// generation would have to write it, behind the last token of the prompt. The prompt is computed
// once; each text is a branch of it. In an answer, which is printed without the white space around
// it, a text counts with and without a blank before it, and whatever may end it counts as its end.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/printable.h"
#include "run/answer_text.h"
#include "run/task.h"

namespace aira {
namespace {

/// log(sum of exp(x)) in the order given.
double log_sum_exp(std::span<const double> values) {
  const double highest = *std::max_element(values.begin(), values.end());
  if (std::isinf(highest)) return highest;
  double sum = 0;
  for (const double value : values) sum += std::exp(value - highest);
  return highest + std::log(sum);
}

class ChoiceTask final : public Task {
 public:
  ChoiceTask(GenerateRequest request, Listener listener, const TaskContext& context,
             std::int64_t slots);

  std::int64_t slots() const override { return slots_; }
  void advance(Sequences& sequences) override;
  void evaluate(const Sequence& sequence, std::int64_t position, std::span<const float> logits,
                Sampler& sampler) override;
  void accept(Sequence& /*sequence*/, Choice /*choice*/, Sequences& /*sequences*/) override {
    if (++accepted_ == rows_) deliver();
  }
  void cancel() override {
    Answer answer;
    answer.finish = FinishReason::kInterrupted;
    if (!done()) hand_over(0, std::move(answer));
    finish();
  }

 private:
  /// One way to write a candidate.
  struct Path {
    std::size_t candidate;
    std::vector<std::int32_t> ids;
    std::vector<double> logprobs;  // of each id, then of the end where that counts
    Sequence* sequence = nullptr;

    double logprob() const {
      double sum = 0;
      for (const double one : logprobs) sum += one;
      return sum;
    }
  };

  void add_paths(const Tokenizer& tokenizer);
  /// Whether the next path needs no branch: it is the last, or there is no room for one.
  bool goes_on_from_root() const { return next_ + 1 == paths_.size() || slots_ == 1; }
  Sequence& open(Sequences& sequences);
  double end_logprob(const LogSoftmax& distribution) const;
  void deliver();

  GenerateRequest request_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::int64_t prompt_;  // tokens
  std::vector<Path> paths_;
  std::int64_t slots_;
  std::size_t rows_ = 1;  // whose logits are evaluated: the prompt's last and the paths'
  std::size_t accepted_ = 0;
  Sequence* root_ = nullptr;  // the prompt, until a path goes on from it
  std::size_t next_ = 0;      // the path to be begun
};

ChoiceTask::ChoiceTask(GenerateRequest request, Listener listener, const TaskContext& context,
                       std::int64_t slots)
    : Task(std::move(listener)),
      request_(std::move(request)),
      prompt_(static_cast<std::int64_t>(request_.prompt.size())) {
  add_paths(context.tokenizer);
  slots_ = std::min(std::ssize(paths_), slots);
  std::int64_t longest = 0;
  for (const Path& path : paths_) {
    rows_ += path.logprobs.size() - 1;
    longest = std::max(longest, std::ssize(path.ids));
  }
  if (prompt_ + longest > context.context) {
    throw Error(
        "[E260] The question takes {} tokens with its markers and the longest choice {}, but the "
        "model's context holds {}.",
        {std::to_string(prompt_), std::to_string(longest), std::to_string(context.context)});
  }
}

void ChoiceTask::add_paths(const Tokenizer& tokenizer) {
  const bool ends = !request_.keep_space && !request_.options.eos_token_id.empty();
  for (std::size_t i = 0; i < request_.candidates.size(); ++i) {
    std::string& text = request_.candidates[i];
    if (!request_.keep_space) text = without_white_space(text);
    const std::size_t first = paths_.size();
    for (const char* before : {"", " "}) {
      std::vector<std::int32_t> ids = tokenizer.encode(before + text, Tokenizer::Added::kPlainText);
      if (ids.empty()) throw Error("[E261] The choice {} has no tokens.", {quote(text)});
      // Some tokenizers put a blank before every text.
      if (paths_.size() > first && paths_[first].ids == ids) continue;
      const std::size_t rows = ids.size() + (ends ? 1 : 0);
      paths_.push_back({i, std::move(ids), std::vector<double>(rows)});
      if (request_.keep_space) break;
    }
  }
}

/// A sequence that has computed the prompt, or is about to.
Sequence& ChoiceTask::open(Sequences& sequences) {
  if (root_ == nullptr) return sequences.start(*this, request_.prompt, prompt_);
  if (goes_on_from_root()) return *std::exchange(root_, nullptr);
  return sequences.fork(*root_, prompt_);
}

void ChoiceTask::advance(Sequences& sequences) {
  if (accepted_ == 0) {
    if (root_ == nullptr) root_ = &sequences.start(*this, request_.prompt, prompt_ - 1);
    return;
  }
  std::int64_t busy = 0;
  for (Path& path : paths_) {
    if (path.sequence != nullptr && path.sequence->pending() == 0) {
      sequences.close(*path.sequence);
      path.sequence = nullptr;
    }
    if (path.sequence != nullptr) ++busy;
  }
  for (; next_ < paths_.size(); ++next_) {
    Path& path = paths_[next_];
    const auto computed = static_cast<std::ptrdiff_t>(path.logprobs.size() - 1);
    if (computed == 0) continue;
    if (busy + (root_ != nullptr && !goes_on_from_root() ? 1 : 0) >= slots_) break;
    path.sequence = &open(sequences);
    path.sequence->ids.insert(path.sequence->ids.end(), path.ids.begin(),
                              path.ids.begin() + computed);
    ++busy;
  }
}

/// The log-probability that the answer ends, by whichever token.
double ChoiceTask::end_logprob(const LogSoftmax& distribution) const {
  std::vector<double> ends = {-std::numeric_limits<double>::infinity()};
  for (const std::int32_t id : request_.options.eos_token_id) {
    if (id >= 0 && id < distribution.size()) ends.push_back(distribution[id]);
  }
  return ends.size() == 1 ? 0 : log_sum_exp(ends);  // nothing ends it: the end does not count
}

void ChoiceTask::evaluate(const Sequence& sequence, std::int64_t position,
                          std::span<const float> logits, Sampler& /*sampler*/) {
  const LogSoftmax distribution(logits);
  if (std::isnan(distribution[0])) throw_not_a_number();
  const auto index = static_cast<std::size_t>(position + 1 - prompt_);
  for (Path& path : paths_) {
    if (index > 0 && path.sequence != &sequence) continue;
    path.logprobs[index] =
        index < path.ids.size() ? distribution[path.ids[index]] : end_logprob(distribution);
  }
}

void ChoiceTask::deliver() {
  Answer answer;
  std::vector<double> all;
  std::size_t best = 0;
  for (std::size_t i = 0; i < request_.candidates.size(); ++i) {
    std::vector<double> ways;
    for (const Path& path : paths_) {
      if (path.candidate == i) ways.push_back(path.logprob());
    }
    all.push_back(log_sum_exp(ways));
    answer.candidates.push_back({request_.candidates[i], all[i], 0});
    if (all[i] > all[best]) best = i;
  }
  const double total = log_sum_exp(all);
  for (RatedText& one : answer.candidates) one.probability = std::exp(one.logprob - total);
  answer.text = answer.candidates[best].text;
  answer.logprob = answer.candidates[best].logprob;
  const Path* likeliest = nullptr;
  for (const Path& path : paths_) {
    if (path.candidate != best) continue;
    if (likeliest == nullptr || path.logprob() > likeliest->logprob()) likeliest = &path;
  }
  answer.token_ids = likeliest->ids;
  answer.prompt_tokens = prompt_;
  answer.first_token_seconds = seconds_since(started_);
  if (listener().text) post([this, text = answer.text] { listener().text(0, text); });
  hand_over(0, std::move(answer));
  finish();
}

}  // namespace

std::shared_ptr<Task> make_choice_task(GenerateRequest request, Listener listener,
                                       const TaskContext& context, std::int64_t slots) {
  return std::make_shared<ChoiceTask>(std::move(request), std::move(listener), context, slots);
}

}  // namespace aira
