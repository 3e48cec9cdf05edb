// Whole answers on the CUDA backend through the Scheduler, several at once: the same ids as on the
// CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aira/prompts.h"
#include "backends.h"
#include "byte_model.h"
#include "cpu/cpu_backend.h"
#include "requests.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

/// A scheduler with all that it stands on.
struct Whole {
  explicit Whole(const std::function<std::unique_ptr<Backend>(ThreadPool&)>& make,
                 DType dtype = DType::kF32, std::int64_t slots = 3)
      : backend(make(pool)),
        model(Model::load(files, *backend, dtype)),
        scheduler(model, tokenizer, *backend, pool, prompts.end_ids(), slots) {}

  std::vector<Answer> answer(const std::vector<GenerateRequest>& requests) {
    std::vector<PendingPointer> pending;
    for (const GenerateRequest& request : requests) pending.push_back(ask(scheduler, request));
    while (scheduler.step()) {
    }
    std::vector<Answer> all;
    for (const auto& one : pending) {
      EXPECT_TRUE(one->done());
      EXPECT_EQ(one->problem, std::nullopt);
      all.insert(all.end(), one->answers.begin(), one->answers.end());
    }
    return all;
  }

  ModelFiles files = byte_model(true);
  ThreadPool pool{1};
  std::unique_ptr<Backend> backend;
  Model model;
  Tokenizer tokenizer = Tokenizer::load(files);
  Prompts prompts{tokenizer, model.config.eos, std::vector{2, 3}};
  Scheduler scheduler;
};

class CudaAnswers : public testing::TestWithParam<TestBackend> {
 protected:
  void expect_same(const std::vector<GenerateRequest>& requests, std::size_t at_least) {
    const std::vector<Answer> expected = cpu_.answer(requests);
    const std::vector<Answer> answers = cuda_.answer(requests);
    ASSERT_EQ(answers.size(), expected.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].token_ids, expected[i].token_ids) << i;
      EXPECT_EQ(answers[i].text, expected[i].text) << i;
      EXPECT_EQ(answers[i].finish, expected[i].finish) << i;
      EXPECT_NEAR(answers[i].logprob, expected[i].logprob, 1e-3) << i;
      EXPECT_GE(answers[i].token_ids.size(), at_least) << "too few to say anything";
    }
  }
  Ids question(std::string_view text) const { return cpu_.prompts.question(text); }

  Whole cpu_{[](ThreadPool& pool) { return make_cpu_backend(pool); }};
  Whole cuda_{GetParam().make};
};

TEST_P(CudaAnswers, GreedyWithAPenalty) {
  GenerateOptions options;
  options.sampling = {.repetition_penalty = 1.2, .greedy = true};
  options.max_new_tokens = 20;
  options.logprob = true;
  expect_same({{question("Que é ação?"), options}, {{kByteModelStart}, options}}, 5);
}

TEST_P(CudaAnswers, SampledWithASeedSeveralAtOnce) {
  GenerateOptions options;
  options.sampling = {.temperature = 1.5, .top_k = 50, .top_p = 0.9, .repetition_penalty = 1.2};
  options.max_new_tokens = 8;
  options.seed = 77;
  options.answers = 2;
  // More answers than slots; one prompt ends within a page, one behind it, and two begin alike.
  expect_same({{question("Olá, señor"), options},
               {question("Olá, señora! Que horas são agora?"), options},
               {question("Olá, señora! Que horas são agora?!"), options}},
              5);
}

// Tokens are drawn on the device, steps start ahead; requests that need the host's sampler come and
// go between them.
TEST_P(CudaAnswers, DrawsAheadAndStopsForTheHost) {
  std::vector<GenerateRequest> requests;
  for (int i = 0; i < 9; ++i) {
    if (i != 4 && i % 3 != GetParam().share % 3) continue;  // the orders of execution share them
    GenerateOptions options;
    options.sampling = {.temperature = 1.1, .top_k = 40, .top_p = 0.95, .repetition_penalty = 1.2};
    options.sampling.greedy = i % 4 == 3;
    options.max_new_tokens = 4 + 5 * i % 22;
    options.seed = static_cast<std::uint64_t>(100 + i);
    options.answers = i == 4 ? 3 : 1;
    options.logprob = i == 6;
    requests.push_back(
        {question("ação " + std::string(static_cast<std::size_t>(4 * i), 'x')), options});
  }
  expect_same(requests, 1);
}

// A scheduler that ends while a step that it started ahead is computed leaves no token to the next.
TEST_P(CudaAnswers, AfterASchedulerThatEndedEarly) {
  GenerateOptions options;
  options.sampling.greedy = true;
  options.max_new_tokens = 6;
  const GenerateRequest request = {question("Que é ação?"), options};
  // An end that the host finds, and not the number of tokens, which is known before.
  const std::int32_t end = cpu_.answer({request}).at(0).token_ids.at(2);
  std::vector<Ids> all;
  for (Whole* const whole : {&cpu_, &cuda_, &cuda_, &cuda_}) {
    Scheduler scheduler(whole->model, whole->tokenizer, *whole->backend, whole->pool, {end}, 1);
    const PendingPointer pending = ask(scheduler, request);
    while (!pending->done()) scheduler.step();
    all.push_back(pending->answers.at(0).token_ids);
  }
  EXPECT_THAT(all, testing::Each(all[0]));
}

TEST_P(CudaAnswers, DoNotDependOnTheirCompany) {
  const std::vector<DType> types = types_of(GetParam());
  if (types.empty()) GTEST_SKIP() << "other orders take the types";
  for (const DType dtype : types) {
    Whole alone(GetParam().make, dtype, 1);
    Whole together(GetParam().make, dtype, 12);
    std::vector<GenerateRequest> requests;
    for (int i = 0; i < 24; ++i) {
      GenerateOptions options;
      options.sampling = {.temperature = 1, .top_k = 50, .top_p = 0.95, .repetition_penalty = 1.2};
      options.max_new_tokens = 6 + i % 7;
      options.seed = static_cast<std::uint64_t>(5 + i);
      // Some are asked twice: then all but a row of the prompt is there already.
      requests.push_back({question("pergunta número " + std::to_string(i % 20 * 37) +
                                   std::string(static_cast<std::size_t>(i % 20 % 9), 'y')),
                          options});
    }
    std::vector<Answer> expected;
    for (const GenerateRequest& request : requests) {
      expected.push_back(alone.answer({request}).at(0));
    }
    const std::vector<Answer> answers = together.answer(requests);
    ASSERT_EQ(answers.size(), expected.size());
    // In f32 cuBLAS may choose by the number of rows; the ids are the same all the same.
    for (std::size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].token_ids, expected[i].token_ids) << i << " in " << name_of(dtype);
    }
  }
}

TEST_P(CudaAnswers, FillsTheContext) {
  GenerateOptions options;
  options.sampling = {.repetition_penalty = 1.2, .greedy = true};
  options.max_new_tokens = 1000;
  for (const std::int32_t prompt : {kByteModelContext - 1, kByteModelContext - 6}) {
    const auto left = static_cast<std::size_t>(kByteModelContext - prompt);
    expect_same({{Ids(static_cast<std::size_t>(prompt), 150), options}}, left);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, CudaAnswers, testing::ValuesIn(test_backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace aira
