// Which rows go into the next step, and who gets its logits.
#include "run/scheduler.h"

#include <algorithm>
#include <utility>

#include "aira/error.h"
#include "run/answer_task.h"
#include "run/beam_task.h"
#include "run/device_draw.h"
#include "run/score_task.h"
#include "run/streams.h"

namespace aira {
namespace {

/// Rows of one step: enough that reading the weights does not count in a prompt, few enough that
/// the activations stay in the processor's caches.
constexpr std::int64_t kStepRows = 256;
/// Rows of a scored text whose logits are held at once, at least.
constexpr std::int64_t kWantedRows = 64;
/// Requests that wait while others run, for each slot.
constexpr std::int64_t kWaitingPerSlot = 1;

Session::Limits limits(const Model& model, std::int64_t slots) {
  return {.slots = slots,
          .context = model.config.context,
          .rows = std::max(kStepRows, slots),
          .output_rows = std::max(kWantedRows, slots)};
}

}  // namespace

Scheduler::Scheduler(const Model& model, const Tokenizer& tokenizer, Backend& backend,
                     ThreadPool& pool, std::vector<std::int32_t> end_ids, std::int64_t slots)
    : model_(model),
      tokenizer_(tokenizer),
      pool_(pool),
      end_ids_(std::move(end_ids)),
      session_(model, backend, limits(model, slots)),
      streams_(std::make_unique<Streams>(session_, slots, model.config.context)) {
  for (int i = 0; i < pool.size(); ++i) samplers_.emplace_back(model.config.vocab);
  rows_.reserve(static_cast<std::size_t>(session_.limits().rows));
  wanted_.reserve(static_cast<std::size_t>(session_.limits().output_rows));
}

Scheduler::~Scheduler() = default;

std::int64_t Scheduler::slots() const { return streams_->slots(); }

void Scheduler::check_ids(std::span<const std::int32_t> ids) const {
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= model_.config.vocab) {
      throw Error("Token id " + std::to_string(id) +
                  " is none of the model's, which go from 0 to " +
                  std::to_string(model_.config.vocab - 1) +
                  "; if it came from a text, the folder mixes files of different models.");
    }
  }
}

std::shared_ptr<const Pending<Answers>> Scheduler::ask(AnswerRequest request) {
  const std::int64_t context = model_.config.context;
  if (static_cast<std::int64_t>(request.prompt.size()) >= context) {
    throw Error("The question is too long: it takes " + std::to_string(request.prompt.size()) +
                " tokens with its markers, but the model's context holds " +
                std::to_string(context) + " including at least one of the answer.");
  }
  if (request.options.num_beams > slots()) {
    throw Error("A search with " + std::to_string(request.options.num_beams) +
                " beams needs as many sequences at once; this run has " + std::to_string(slots()) +
                " (--batch).");
  }
  check_ids(request.prompt);
  // A word's ids at the beginning of a text and after a space are not the same.
  for (const std::string& word : request.options.bad_words) {
    for (const std::string& form : {word, " " + word}) {
      request.options.sampling.bad_words.push_back(
          tokenizer_.encode(form, Tokenizer::Added::kPlainText));
    }
  }
  auto pending = std::make_shared<Pending<Answers>>();
  const AnswerTask::Surroundings around{tokenizer_, end_ids_, samplers_.front(), context,
                                        model_.config.vocab};
  if (request.options.num_beams > 1) {
    waiting_.push_back(std::make_shared<BeamTask>(std::move(request), around, pending));
  } else {
    waiting_.push_back(std::make_shared<AnswerTask>(std::move(request), around, pending));
  }
  return pending;
}

std::shared_ptr<const Pending<Score>> Scheduler::score(ScoreRequest request) {
  const auto rows = static_cast<std::int64_t>(request.ids.size()) - 1;  // the last predicts nothing
  if (!request.rolling && rows > model_.config.context) {
    throw Error("The text is too long to score: it takes " + std::to_string(rows) +
                " tokens, but the model's context holds " + std::to_string(model_.config.context) +
                ".");
  }
  check_ids(request.ids);
  auto pending = std::make_shared<Pending<Score>>();
  auto task = std::make_shared<ScoreTask>(std::move(request), model_.config.context, pending);
  if (!pending->done) waiting_.push_back(std::move(task));  // else nothing was to be scored
  return pending;
}

bool Scheduler::wants_more() const {
  return static_cast<std::int64_t>(waiting_.size()) <
         std::max(streams_->free(), kWaitingPerSlot * slots());
}

/// Running tasks take free slots first (the next of many answers), then those that wait, in order.
void Scheduler::begin_waiting() {
  for (const auto& task : running_) task->advance(*streams_);
  while (!waiting_.empty() && streams_->free() >= waiting_.front()->streams()) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    running_.back()->advance(*streams_);
  }
}

/// Every running answer's next token, then as much of the prompts as there is room for.
void Scheduler::collect_rows() {
  rows_.clear();
  wanted_.clear();
  chunks_.clear();
  const auto add = [&](Stream& stream) {
    const Session::Limits& limits = session_.limits();
    std::int64_t count =
        std::min(stream.pending(), limits.rows - static_cast<std::int64_t>(rows_.size()));
    // Logits are wanted of the rows from wanted_from on: no more than there is room for.
    const std::int64_t unwanted = std::max<std::int64_t>(0, stream.wanted_from - stream.cached);
    const std::int64_t room = limits.output_rows - static_cast<std::int64_t>(wanted_.size());
    count = std::min(count, unwanted + room);
    if (count <= 0) return;
    streams_->reserve(stream, count);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t position = stream.cached + i;
      if (i >= unwanted) wanted_.push_back(static_cast<std::int32_t>(rows_.size()));
      rows_.push_back({.token = stream.ids[static_cast<std::size_t>(position)],
                       .slot = stream.slot,
                       .position = static_cast<std::int32_t>(position)});
    }
    chunks_.push_back({.stream = &stream,
                       .first_wanted = stream.cached + unwanted,
                       .wanted = std::max<std::int64_t>(0, count - unwanted)});
    streams_->advance(stream, count);
  };
  for (const bool decodes : {true, false}) {
    for (const auto& stream : streams_->all()) {
      if (stream && stream->pending() > 0 && (stream->pending() == 1) == decodes) add(*stream);
    }
  }
}

/// The costly part of every row, side by side.
void Scheduler::prepare(std::span<const float> logits) {
  const auto vocab = static_cast<std::size_t>(model_.config.vocab);
  std::vector<std::pair<const Chunk*, std::int64_t>> wanted;  // and its position
  for (const Chunk& chunk : chunks_) {
    for (std::int64_t i = 0; i < chunk.wanted; ++i) {
      wanted.emplace_back(&chunk, chunk.first_wanted + i);
    }
  }
  const auto count = static_cast<std::int64_t>(wanted.size());
  pool_.split(count, [&](std::int64_t begin, std::int64_t end, int member) {
    for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
      const auto& [chunk, position] = wanted[row];
      chunk->stream->owner->prepare(*chunk->stream, position, logits.subspan(row * vocab, vocab),
                                    samplers_[static_cast<std::size_t>(member)]);
    }
  });
}

void Scheduler::deliver(std::span<const float> logits) {
  prepare(logits);
  const auto vocab = static_cast<std::size_t>(model_.config.vocab);
  for (const Chunk& chunk : chunks_) {
    if (chunk.wanted == 0) continue;
    Task& task = *chunk.stream->owner;
    for (std::int64_t i = 0; i < chunk.wanted; ++i) {
      const std::span<const float> row = logits.first(vocab);
      logits = logits.subspan(vocab);
      if (task.done()) continue;  // failed at an earlier row
      try {
        task.take(*chunk.stream, chunk.first_wanted + i, row, *streams_);
      } catch (const Error& error) {
        task.fail(error.what());
      }
    }
  }
}

void Scheduler::remove_done() {
  for (const auto& task : running_) {
    if (task->done()) task->close(*streams_);
  }
  std::erase_if(running_, [](const auto& task) { return task->done(); });
}

/// Whether the backend can draw every token that is wanted at the moment.
bool Scheduler::can_launch() const {
  return std::all_of(running_.begin(), running_.end(), [&](const auto& task) {
    const SamplingOptions* options = task->draws();
    const auto draw = options == nullptr ? std::nullopt : device_draw(*options, 0);
    return draw && session_.can_draw(*draw);
  });
}

/// Starts a step without waiting for it; the one before it may still be on its way.
void Scheduler::launch() {
  Flight flight;
  draws_.clear();
  for (const Chunk& chunk : chunks_) {
    if (chunk.wanted == 0) continue;
    Task& task = *chunk.stream->owner;
    draws_.push_back(task.launch(*chunk.stream));
    const auto owner = std::find_if(running_.begin(), running_.end(),
                                    [&](const auto& one) { return one.get() == &task; });
    flight.tokens.push_back({*owner, task.draft_of(*chunk.stream)});
  }
  session_.launch(rows_, wanted_, streams_->table(), draws_);
  flights_.push_back(std::move(flight));
}

/// Waits for the tokens of the earliest step on its way. An answer that has ended meanwhile has no
/// use for its token.
void Scheduler::land() {
  const Flight flight = std::move(flights_.front());
  flights_.pop_front();
  std::span<const std::int32_t> tokens;
  std::string problem;
  try {
    tokens = session_.drawn();
  } catch (const Error& error) {
    problem = error.what();
  }
  for (std::size_t i = 0; i < flight.tokens.size(); ++i) {
    const std::shared_ptr<Task> task = flight.tokens[i].task.lock();
    if (!task || task->done()) continue;
    if (!problem.empty() || tokens[i] == kNotDrawn) {
      task->fail(problem.empty() ? kNoNumber : problem);
    } else {
      task->take_token(flight.tokens[i].draft, tokens[i]);
    }
  }
}

// Where the backend draws the tokens, a step starts before the tokens of the one before it are
// known, and the host's work falls into the time that the device computes.
bool Scheduler::step() {
  begin_waiting();
  const bool ahead = can_launch();
  if (!ahead && !flights_.empty()) {
    while (!flights_.empty()) land();
    remove_done();
    begin_waiting();
  }
  collect_rows();
  if (rows_.empty() && flights_.empty()) return false;
  if (!rows_.empty() && ahead) {
    launch();
  } else if (!rows_.empty()) {
    deliver(session_.forward(rows_, wanted_, streams_->table()));
  }
  if (flights_.size() > (rows_.empty() ? 0 : 1)) land();
  remove_done();
  return true;
}

void Scheduler::cancel() {
  while (!flights_.empty()) land();
  for (const auto& task : waiting_) task->cancel();
  waiting_.clear();
  for (const auto& task : running_) task->cancel();
  remove_done();
}

}  // namespace aira
