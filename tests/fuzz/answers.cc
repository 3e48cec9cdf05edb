// The whole path on a tiny model: requests of any options, computed together and alone, broken off
// and failing. What a request yields does not depend on what runs beside it, and whatever becomes
// of it, its slots and pages come back.
#include <cmath>

#include "aira/prompts.h"
#include "base/utf8.h"
#include "cpu/cpu_backend.h"
#include "failing_backend.h"
#include "fuzz.h"
#include "random_options.h"
#include "requests.h"
#include "tiny_model.h"

using namespace aira;

namespace {

constexpr std::int64_t kSlots = 4;
constexpr int kMostSteps = 3000;  // many more than any request takes

struct World {
  explicit World(DType dtype) : model(Model::load(files, backend, dtype)) {}

  ModelFiles files = fuzz::tiny_model_files();
  ThreadPool threads{1};
  FailingBackend backend{make_cpu_backend(threads)};
  Model model;
  Tokenizer tokenizer = Tokenizer::load(files);
  Prompts prompts{tokenizer, model.config.eos, {}};
  Scheduler scheduler{model, tokenizer, backend, threads, prompts.end_ids(), kSlots};
  const std::int64_t pages = scheduler.sequences().free_pages();
};

World& world_of(bool int8) {
  static World f32(DType::kF32);
  static World i8(DType::kI8);
  return int8 ? i8 : f32;
}

/// What a request has come to, for comparison.
struct Outcome {
  std::string problem;
  std::vector<std::string> texts;
  std::vector<double> numbers;  // ids, probabilities
  bool operator==(const Outcome&) const = default;

  void add(double number) { numbers.push_back(std::isnan(number) ? 1e300 : number); }
  void add(const TokenLogProbability& token) {
    add(token.token);
    add(token.log_probability);
  }
  void add(const Answer& answer) {
    texts.push_back(answer.text);
    numbers.insert(numbers.end(), answer.token_ids.begin(), answer.token_ids.end());
    for (const double number :
         {static_cast<double>(answer.finish), answer.logprob, answer.score.value_or(1)}) {
      add(number);
    }
    for (const Choice& choice : answer.choices) {
      add(choice.chosen);
      for (const TokenLogProbability& other : choice.top) add(other);
    }
    for (const RatedText& candidate : answer.candidates) {
      texts.push_back(candidate.text);
      add(candidate.logprob);
    }
  }
};

void check_answer(const Answer& answer, const GenerateRequest& request, const World& world) {
  const GenerateOptions& options = request.options;
  FUZZ_CHECK(std::ssize(answer.token_ids) + std::ssize(request.prompt) <= fuzz::kTinyContext);
  for (const std::int32_t id : answer.token_ids) {
    FUZZ_CHECK(id >= 0 && id < world.model.config.vocab);
  }
  if (request.candidates.empty() && options.max_length == 0) {
    FUZZ_CHECK(std::ssize(answer.token_ids) <= options.max_new_tokens);
  }
  FUZZ_CHECK(valid_utf8(answer.text) == answer.text);
}

Outcome outcome_of(const PendingPointer& pending, const Request& request, const World& world) {
  Outcome outcome;
  outcome.problem = pending->problem.value_or("");
  const auto* const asked = std::get_if<GenerateRequest>(&request);
  for (std::size_t i = 0; i < pending->answers.size(); ++i) {
    const Answer& answer = pending->answers[i];
    check_answer(answer, *asked, world);
    outcome.add(answer);
    const bool streams = asked->options.best_of <= 1 && asked->options.num_beams == 1 &&
                         asked->candidates.empty() && answer.finish != FinishReason::kInterrupted;
    if (streams && i < pending->streamed.size()) FUZZ_CHECK(pending->streamed[i] == answer.text);
  }
  for (const auto& token : pending->score.tokens) {
    outcome.add(token);
  }
  return outcome;
}

/// Steps until there is nothing to do; before step `cancel_at` all is cancelled.
void run(World& world, int cancel_at = -1) {
  int steps = 0;
  do {
    FUZZ_CHECK(steps < kMostSteps);
    if (steps == cancel_at) world.scheduler.cancel_all();
    ++steps;
  } while (world.scheduler.step());
  FUZZ_CHECK(world.scheduler.idle());
  FUZZ_CHECK(world.scheduler.sequences().free() == kSlots);
  FUZZ_CHECK(world.scheduler.sequences().free_pages() == world.pages);
}

/// Nothing when it is refused, which must be said in a sentence.
std::optional<PendingPointer> submit(World& world, const Request& request, Outcome& outcome) {
  try {
    std::optional<PendingPointer> pending;
    fuzz::accepts([&] { pending = ask(world.scheduler, request); });
    if (!pending) outcome.problem = "refused";
    return pending;
  } catch (const UsageError& error) {
    outcome.problem = error.what();
    return std::nullopt;
  }
}

}  // namespace

FUZZ_TARGET(answers) {
  fuzz::Choices choices(input);
  World& world = world_of(choices.flag());
  const int cancel_at = choices.rarely(4) ? choices.byte() % 40 : -1;
  const int fail_at = choices.rarely(4) ? choices.byte() : -1;
  std::vector<Request> requests;
  for (auto count = choices.number(1, 3); count > 0; --count) {
    if (auto request = fuzz::random_request(choices, world.prompts, kSlots)) {
      requests.push_back(*std::move(request));
    }
  }
  std::vector<Outcome> together(requests.size());
  std::vector<std::optional<PendingPointer>> pending;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    pending.push_back(submit(world, requests[i], together[i]));
  }
  world.backend.fail_at(fail_at);
  run(world, cancel_at);
  world.backend.fail_at(-1);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!pending[i]) continue;
    FUZZ_CHECK((*pending[i])->done());
    together[i] = outcome_of(*pending[i], requests[i], world);
  }
  if (cancel_at >= 0 || fail_at >= 0) return;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Outcome alone;
    if (const auto mine = submit(world, requests[i], alone)) {
      run(world);
      alone = outcome_of(*mine, requests[i], world);
    }
    FUZZ_CHECK(alone == together[i]);
  }
}
