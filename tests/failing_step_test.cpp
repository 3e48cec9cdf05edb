// A step that fails half-way (no memory, a lost device) fails the requests in it and nothing else:
// what was planned for it must not be found by anyone later.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends.h"
#include "byte_model.h"
#include "failing_backend.h"
#include "model/model.h"
#include "requests.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

class FailingStep : public testing::TestWithParam<TestBackend> {
 protected:
  std::unique_ptr<Scheduler> scheduler(std::int64_t slots = 2) {
    return std::make_unique<Scheduler>(model_, tokenizer_, backend_, threads_, Ids{2, 3}, slots);
  }
  /// A greedy answer of 12 tokens to a prompt of more than one page.
  static GenerateRequest question(std::int32_t salt) {
    GenerateRequest request;
    for (std::int32_t i = 0; i < 45; ++i) {
      request.prompt.push_back(kByteModelFirstByte + (i * i + salt) % 200);
    }
    request.options.sampling = {.repetition_penalty = 1, .greedy = true};
    request.options.max_new_tokens = 12;
    return request;
  }
  static Ids answer(Scheduler& scheduler, const GenerateRequest& request) {
    const auto pending = ask(scheduler, request);
    while (scheduler.step()) {
    }
    EXPECT_EQ(pending->problem, std::nullopt);
    return pending->answers.at(0).token_ids;
  }

  ModelFiles files_ = byte_model(true);
  ThreadPool threads_{1};
  FailingBackend backend_{GetParam().make(threads_)};
  Model model_ = Model::load(files_, backend_, DType::kF32);
  Tokenizer tokenizer_ = Tokenizer::load(files_);
};

TEST_P(FailingStep, LeavesNothingWrongBehind) {
  const Ids expected = answer(*scheduler(), question(0));
  // The prompt's first linear map, a later one, and one of the third token's step.
  const int linears = static_cast<int>(4 * model_.config.layers + 1);
  for (const int at : {0, 3, 2 * linears + 1}) {
    const auto scheduler = this->scheduler();
    const auto failed = ask(*scheduler, question(0));
    backend_.fail_at(at);
    while (scheduler->step()) {
    }
    EXPECT_TRUE(failed->done());
    EXPECT_EQ(failed->problem, "There is not enough memory.") << at;
    EXPECT_TRUE(failed->answers.empty());
    EXPECT_EQ(answer(*scheduler, question(0)), expected) << "the same question after " << at;
  }
}

TEST_P(FailingStep, FailsOnlyTheRequestsInIt) {
  const Ids expected = answer(*scheduler(), question(7));
  const auto scheduler = this->scheduler();
  const auto first = ask(*scheduler, question(0));
  const auto second = ask(*scheduler, question(1));
  const auto waiting = ask(*scheduler, question(7));  // there are two slots
  backend_.fail_at(1);
  while (scheduler->step()) {
  }
  EXPECT_TRUE(first->problem && second->problem);
  EXPECT_EQ(waiting->problem, std::nullopt);
  EXPECT_EQ(waiting->answers.at(0).token_ids, expected);
  EXPECT_TRUE(scheduler->idle());
}

TEST_P(FailingStep, ChoicesComputeTheirPromptOnce) {
  GenerateRequest request = question(3);
  request.candidates = {"abc", "é"};
  std::optional<double> expected;
  // Each text with and without a blank. A single slot starts anew from the last page of the prompt
  // that is full.
  using Case = std::pair<std::int64_t, std::size_t>;
  for (const auto& [slots, rows] : {Case(8, 45 + 7 + 5), {2, 45 + 7 + 5}, {1, 57 + 3 * 13}}) {
    const auto scheduler = this->scheduler(slots);
    const std::size_t before = backend_.rows();
    const auto chosen = ask(*scheduler, request);
    while (scheduler->step()) {
    }
    EXPECT_EQ(backend_.rows() - before, rows) << slots;
    ASSERT_EQ(chosen->answers.size(), 1U);
    const Answer& answer = chosen->answers[0];
    // To the bit, unless the backend's f32 depends on what is computed beside a row.
    EXPECT_NEAR(answer.logprob, expected.value_or(answer.logprob),
                GetParam().same_bits_in_f32 ? 0 : 1e-4)
        << slots;
    expected = answer.logprob;
  }
}

TEST_P(FailingStep, FailsAChoice) {
  const auto scheduler = this->scheduler();
  GenerateRequest request = question(3);
  request.candidates = {"abc", "é"};
  const auto failed = ask(*scheduler, request);
  backend_.fail_at(static_cast<int>(4 * model_.config.layers + 3));
  while (scheduler->step()) {
  }
  EXPECT_EQ(failed->problem, "There is not enough memory.");
  const auto again = ask(*scheduler, request);
  while (scheduler->step()) {
  }
  EXPECT_EQ(again->answers.at(0).candidates.size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Every, FailingStep, testing::ValuesIn(test_backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace aira
