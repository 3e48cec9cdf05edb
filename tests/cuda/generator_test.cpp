// Whole answers on the CUDA backend through the Generator: the same ids as on the CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aira/generate.h"
#include "backends.h"
#include "byte_model.h"
#include "cpu/cpu_backend.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

/// A generator with all that it stands on.
struct Engine {
  explicit Engine(std::unique_ptr<Backend> made) : backend(std::move(made)) {}

  ModelFiles files = byte_model(true);
  std::unique_ptr<Backend> backend;
  Model model = Model::load(files, *backend, DType::kF32);
  Tokenizer tokenizer = Tokenizer::load(files);
  Generator generator{model, tokenizer, *backend, read_generation_config(files)};
};

class CudaGenerator : public testing::TestWithParam<TestBackend> {
 protected:
  void expect_same(const Ids& prompt, const GenerateOptions& options, std::size_t at_least) {
    const Answer expected = cpu_.generator.generate(prompt, options, {}, nullptr);
    std::string streamed;
    const Answer answer = cuda_.generator.generate(
        prompt, options, [&](std::string_view part) { streamed += part; }, nullptr);
    EXPECT_EQ(answer.token_ids, expected.token_ids);
    EXPECT_EQ(answer.text, expected.text);
    EXPECT_EQ(streamed, expected.text);
    EXPECT_EQ(answer.finish, expected.finish);
    EXPECT_NEAR(answer.logprob, expected.logprob, 1e-3);
    EXPECT_GE(answer.token_ids.size(), at_least) << "too few to say anything";
  }
  Ids question(std::string_view text) const { return cpu_.generator.question_prompt(text); }

  Engine cpu_{make_cpu_backend(1)};
  Engine cuda_{GetParam().make(1)};
};

TEST_P(CudaGenerator, GreedyWithAPenalty) {
  GenerateOptions options;
  options.sampling = {.repetition_penalty = 1.2, .greedy = true};
  options.max_new_tokens = 20;
  options.logprob = true;
  expect_same(question("Que é ação?"), options, 5);
  expect_same(Ids{kByteModelStart}, options, 5);  // nothing is left of the answer before
}

TEST_P(CudaGenerator, SampledWithASeed) {
  GenerateOptions options;
  options.sampling = {.temperature = 1.5, .top_k = 50, .top_p = 0.9, .repetition_penalty = 1.2};
  options.max_new_tokens = 20;
  options.seed = 77;
  expect_same(question("Olá, señor"), options, 5);
  options.answer = 1;
  expect_same(question("Olá, señor!"), options, 5);
}

TEST_P(CudaGenerator, FillsTheContext) {
  GenerateOptions options;
  options.sampling = {.repetition_penalty = 1.2, .greedy = true};
  options.max_new_tokens = 1000;
  for (const std::int32_t prompt : {kByteModelContext - 1, kByteModelContext - 6}) {
    const auto left = static_cast<std::size_t>(kByteModelContext - prompt);
    expect_same(Ids(static_cast<std::size_t>(prompt), 150), options, left);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, CudaGenerator, testing::ValuesIn(test_backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace aira
