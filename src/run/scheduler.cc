#include "run/scheduler.h"

#include <algorithm>
#include <new>

namespace aira {
namespace {

/// Rows of a scored text whose logits are held at once, at least.
constexpr std::int64_t kOutputRows = 64;

}  // namespace

/// Calls work(); what it throws as an Error.
template <typename Work>
std::optional<Error> Scheduler::error_of(const Work& work) const {
  try {
    work();
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return no_memory_;
  }
  return std::nullopt;
}

Scheduler::Scheduler(const Model& model, const Tokenizer& tokenizer, Backend& backend,
                     ThreadPool& threads, std::vector<std::int32_t> end_ids, std::int64_t slots)
    : model_(model),
      threads_(threads),
      context_{tokenizer, std::move(end_ids), model.config.context},
      session_(model, backend,
               {.slots = slots,
                // Prompts have room beside every slot's token.
                .rows = std::max(backend.step_rows(), 2 * slots),
                .output_rows = std::max(kOutputRows, slots)}),
      sequences_(session_, slots, model.config.context) {
  for (int i = 0; i < threads.size(); ++i) samplers_.emplace_back(model.config.vocab);
}

/// Running tasks take free slots first (the next of many answers), then those that wait, in order.
void Scheduler::begin_waiting() {
  for (const auto& task : running_) task->advance(sequences_);
  while (!waiting_.empty() && sequences_.free() >= waiting_.front()->slots()) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    running_.back()->begin();
    running_.back()->advance(sequences_);
  }
  remove_done();
}

/// Every running answer's next token, then as much of the prompts as there is room for.
void Scheduler::plan() {
  rows_.clear();
  output_rows_.clear();
  planned_ = {};
  for (const bool decodes : {true, false}) {
    for (const auto& sequence : sequences_.all()) {
      if (sequence && sequence->pending() > 0 && (sequence->pending() == 1) == decodes) {
        add_rows(sequence);
      }
    }
  }
}

void Scheduler::add_rows(const std::shared_ptr<Sequence>& sequence) {
  const Session::Limits& limits = session_.limits();
  const std::int64_t silent = std::max<std::int64_t>(0, sequence->output_from - sequence->cached);
  const std::int64_t count =
      std::min({sequence->pending(), limits.rows - static_cast<std::int64_t>(rows_.size()),
                silent + limits.output_rows - static_cast<std::int64_t>(output_rows_.size())});
  if (count <= 0) return;
  sequences_.reserve_pages(*sequence, count);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t position = sequence->cached + i;
    if (i >= silent) {
      output_rows_.push_back(static_cast<std::int32_t>(rows_.size()));
      planned_.outputs.push_back(
          {.sequence = sequence, .position = position, .want = sequence->owner->want(*sequence)});
    }
    rows_.push_back({.token = sequence->ids[static_cast<std::size_t>(position)],
                     .slot = sequence->slot,
                     .position = static_cast<std::int32_t>(position),
                     .prompt = position < sequence->given});
  }
  planned_.parts.emplace_back(sequence, sequence->cached + count);
}

// Where the device draws all tokens, a step starts before the tokens of the one before it are
// known, and the host's work falls into the time that the device computes.
bool Scheduler::step() {
  begin_waiting();
  plan();
  if (rows_.empty() && flights_.empty()) return false;
  if (rows_.empty()) {
    land();
  } else if (plan_draws()) {
    launch();
    if (flights_.size() > 1) land();
  } else if (!flights_.empty()) {
    // The host needs the tokens on their way first. Nothing that was planned has had an effect.
    while (!flights_.empty()) land();
  } else {
    compute();
  }
  remove_done();
  return true;
}

/// How the device is to draw the planned tokens; false when it cannot draw all of them.
bool Scheduler::plan_draws() {
  draws_.clear();
  for (const Output& output : planned_.outputs) {
    const Want& want = output.want;
    if (want.sampling == nullptr || want.logprobs > 0) return false;
    std::optional<DeviceDraw> draw = device_draw(*want.sampling, uniform(want.place));
    if (!draw || !session_.can_draw(*draw)) return false;
    draw->log_probability = want.logprobs == 0;
    draws_.push_back(*draw);
  }
  return !draws_.empty() || !flights_.empty();  // nothing to draw: perhaps no device
}

void Scheduler::compute() {
  std::span<const float> logits;
  const std::optional<Error> problem =
      error_of([&] { logits = session_.forward(rows_, output_rows_, sequences_.table()); });
  if (problem) return fail(planned_, *problem);
  for (const auto& [sequence, end] : planned_.parts) {
    sequence->cached = end;
    sequences_.publish(*sequence, end);
  }
  const auto vocab = static_cast<std::size_t>(model_.config.vocab);
  std::vector<Output>& outputs = planned_.outputs;
  const auto evaluate_some = [&](std::int64_t begin, std::int64_t end, int member) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      outputs[i].problem = error_of([&] {
        evaluate(outputs[i], logits.subspan(i * vocab, vocab),
                 samplers_[static_cast<std::size_t>(member)]);
      });
    }
  };
  threads_.split(static_cast<std::int64_t>(outputs.size()), evaluate_some);
  for (Output& output : outputs) {
    const bool goes_on = output.want.sampling != nullptr && !output.want.last;
    if (goes_on && !output.problem) output.sequence->ids.push_back(output.choice.chosen.token);
    commit(output);
  }
}

void Scheduler::evaluate(Output& output, std::span<const float> logits, Sampler& sampler) const {
  const Want& want = output.want;
  if (want.sampling == nullptr) {
    return output.sequence->owner->evaluate(*output.sequence, output.position, logits, sampler);
  }
  const std::int32_t token = sampler.sample(logits, want.history, *want.sampling, want.place);
  output.choice.chosen.token = token;
  if (want.logprobs < 0) return;
  const LogSoftmax distribution(logits);
  output.choice.chosen.log_probability = distribution[token];
  output.choice.top = distribution.top(want.logprobs);
}

/// Hands the result of a row to its task.
void Scheduler::commit(Output& output) {
  Task* task = output.sequence->owner;
  if (task == nullptr || task->done()) return;  // it ended at an earlier row or step
  if (!output.problem) {
    output.problem =
        error_of([&] { task->accept(*output.sequence, std::move(output.choice), sequences_); });
  }
  if (output.problem) task->fail(*output.problem);
}

/// Starts a step without waiting for it; the one before it may still be on its way.
void Scheduler::launch() {
  const std::optional<Error> problem =
      error_of([&] { session_.launch(rows_, output_rows_, sequences_.table(), draws_); });
  if (problem) return fail(planned_, *problem);
  for (const auto& [sequence, end] : planned_.parts) sequence->cached = end;
  for (const Output& output : planned_.outputs) {
    if (!output.want.last) output.sequence->ids.push_back(kDrawnToken);
  }
  flights_.push_back(std::move(planned_));
}

/// Waits for the tokens of the earliest step on its way.
void Scheduler::land() {
  Step flight = std::move(flights_.front());
  flights_.pop_front();
  std::span<const DrawnToken> tokens;
  const std::optional<Error> problem = error_of([&] { tokens = session_.drawn(); });
  if (problem) return fail(flight, *problem);
  for (std::size_t i = 0; i < flight.outputs.size(); ++i) {
    Output& output = flight.outputs[i];
    const auto next = static_cast<std::size_t>(output.position) + 1;
    const auto& [id, log_probability] = tokens[i];
    if (id == kNotDrawn) output.problem = error_of(throw_not_a_number);
    if (next < output.sequence->ids.size()) output.sequence->ids[next] = id;
    output.choice.chosen = {id, log_probability};
  }
  for (const auto& [sequence, end] : flight.parts) {
    if (sequence->owner != nullptr) sequences_.publish(*sequence, end);
  }
  for (Output& output : flight.outputs) commit(output);
}

void Scheduler::fail(const Step& step, const Error& error) {
  for (const auto& [sequence, end] : step.parts) {
    if (sequence->owner != nullptr) sequence->owner->fail(error);
  }
}

void Scheduler::remove_done() {
  for (const auto& task : running_) {
    if (task->done()) sequences_.close_all(*task);
  }
  std::erase_if(running_, [](const auto& task) { return task->done(); });
}

void Scheduler::submit(std::shared_ptr<Task> task) {
  const std::optional<Error> problem = error_of([&] { waiting_.push_back(task); });
  if (problem) task->fail(*problem);
}

void Scheduler::cancel(Task& task) {
  task.cancel();
  std::erase_if(waiting_, [&](const auto& other) { return other->done(); });
  remove_done();
}

template <typename End>
void Scheduler::end_all(const End& end) {
  std::for_each(waiting_.begin(), waiting_.end(), end);
  std::for_each(running_.begin(), running_.end(), end);
  waiting_.clear();
  remove_done();
}

void Scheduler::cancel_all() {
  end_all([](const auto& task) { task->cancel(); });
}

void Scheduler::fail_all(const Error& error) noexcept {
  end_all([&](const auto& task) { task->fail(error); });
}

void Scheduler::fail_all_for_memory() noexcept { fail_all(no_memory_); }

}  // namespace aira
