// Generator on a small random checkpoint with a vocabulary of single bytes and the three markers:
// prompts, stop rules, limits, what is kept between calls, scores.
#include "aira/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "aira/error.h"
#include "byte_model.h"
#include "cpu/cpu_backend.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kContext = kByteModelContext;
constexpr std::int32_t kStart = kByteModelStart;
constexpr std::int32_t kEnd = kByteModelEnd;
constexpr std::int32_t kCompletionEnd = kByteModelCompletionEnd;

class GeneratorTest : public testing::Test {
 protected:
  explicit GeneratorTest(bool markers = true)
      : files_(byte_model(markers)),
        backend_(make_cpu_backend(2)),
        model_(Model::load(files_, *backend_, DType::kF32)),
        tokenizer_(Tokenizer::load(files_)),
        generator_(make()) {
    std::ifstream file(byte_model_folder() + "/goldens.json");
    goldens_ = json::parse(file);
  }
  Generator make() { return {model_, tokenizer_, *backend_, read_generation_config(files_)}; }
  static GenerateOptions greedy(std::int64_t tokens, double penalty = 1) {
    GenerateOptions options;
    options.sampling = {.repetition_penalty = penalty, .greedy = true};
    options.max_new_tokens = tokens;
    return options;
  }
  Answer run(const Ids& prompt, const GenerateOptions& options) {
    std::string streamed;
    Answer answer = generator_.generate(
        prompt, options, [&](std::string_view part) { streamed += part; }, nullptr);
    EXPECT_EQ(streamed, answer.text);
    return answer;
  }

  ModelFiles files_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  Tokenizer tokenizer_;
  Generator generator_;
  json goldens_;
};

class BaseModelGeneratorTest : public GeneratorTest {
 protected:
  BaseModelGeneratorTest() : GeneratorTest(false) {}
};

TEST_F(GeneratorTest, ContinuesAsTransformersDoes) {
  int whole = 0;
  for (const json& golden : goldens_["greedy"]) {
    const Ids expected = golden["ids"];
    const auto count = static_cast<std::int64_t>(expected.size());
    const Answer answer = run(golden["prompt"], greedy(count, golden["repetition_penalty"]));
    EXPECT_EQ(answer.token_ids, expected);
    EXPECT_EQ(answer.finish, FinishReason::kLength);
    EXPECT_EQ(answer.prompt_tokens, static_cast<std::int64_t>(golden["prompt"].size()));
    ++whole;
  }
  EXPECT_GE(whole, 3);
}

TEST_F(GeneratorTest, PromptsHaveTheirMarkers) {
  EXPECT_EQ(generator_.question_prompt("Oi"), (Ids{kStart, 'O' + 100, 'i' + 100, kEnd}));
  // What a user types is text, never a marker.
  const Ids typed = generator_.question_prompt("<|endofinstruction|>");
  EXPECT_EQ(typed.size(), 2 + std::string("<|endofinstruction|>").size());
  const std::vector<std::pair<std::string, std::string>> turns = {{"a", "b"}};
  EXPECT_EQ(generator_.dialogue_prompt(turns, "c"),
            (Ids{kStart, 'a' + 100, kEnd, 'b' + 100, kCompletionEnd, kStart, 'c' + 100, kEnd}));
  EXPECT_EQ(generator_.raw_prompt("x"), (Ids{'x' + 100}));
}

TEST_F(BaseModelGeneratorTest, HasOnlyRawText) {
  EXPECT_FALSE(generator_.has_markers());
  EXPECT_THAT(error_of([&] { generator_.question_prompt("Oi"); }), testing::HasSubstr("--raw"));
  EXPECT_EQ(generator_.raw_prompt("Oi").size(), 2U);
  EXPECT_EQ(generator_.raw_prompt(""), (Ids{2})) << "starts from the model's end token";
}

TEST_F(GeneratorTest, EndsAtAnEndToken) {
  // The end token of the dialogue is made the answer by asking for what greedy says third.
  const Answer free = run({kStart, 150, kEnd}, greedy(8));
  ASSERT_EQ(free.token_ids.size(), 8U);
  GenerationConfig config;
  config.eos = {free.token_ids[2]};
  Generator ended(model_, tokenizer_, *backend_, config);
  const Answer answer = ended.generate(Ids{kStart, 150, kEnd}, greedy(8), {}, nullptr);
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  const auto end = std::find(free.token_ids.begin(), free.token_ids.end(), config.eos[0]);
  EXPECT_EQ(answer.token_ids, Ids(free.token_ids.begin(), end + 1)) << "the end token included";
}

TEST_F(GeneratorTest, FillsTheContextAndNoMore) {
  for (const std::int32_t prompt : {1, 5, kContext - 1}) {
    const Answer answer = run(Ids(static_cast<std::size_t>(prompt), 150), greedy(1000, 1.2));
    EXPECT_EQ(answer.finish, FinishReason::kLength);
    EXPECT_EQ(answer.token_ids.size(), static_cast<std::size_t>(kContext - prompt));
  }
}

TEST_F(GeneratorTest, TooLongAPromptNamesBothLengths) {
  const std::string sentence =
      error_of([&] { run(Ids(static_cast<std::size_t>(kContext), 150), greedy(5)); });
  EXPECT_THAT(sentence, testing::HasSubstr("67 tokens"));
  EXPECT_THAT(sentence, testing::HasSubstr("holds 67"));
}

TEST_F(GeneratorTest, IdsBeyondTheModelsVocabularyAreAnError) {
  EXPECT_THAT(error_of([&] { run({509}, greedy(1)); }), testing::HasSubstr("509 entries"));
}

TEST_F(GeneratorTest, AnAnswerDependsOnNothingBeforeIt) {
  GenerateOptions options;
  options.sampling = {.temperature = 1.5, .top_k = 0, .top_p = 1, .repetition_penalty = 1.1};
  options.max_new_tokens = 20;
  options.seed = 77;
  const std::vector<Ids> prompts = {
      {kStart, 150, 151, 152, kEnd}, {kStart, 150, 151, 200, kEnd}, {150}, {kStart, 150, 151}};
  std::vector<Ids> fresh;
  for (const Ids& prompt : prompts) {
    Generator generator = make();
    fresh.push_back(generator.generate(prompt, options, {}, nullptr).token_ids);
  }
  EXPECT_NE(fresh[0], fresh[1]);
  for (const std::size_t i : {0, 1, 0, 3, 2, 1, 3, 3, 0}) {
    EXPECT_EQ(run(prompts[i], options).token_ids, fresh[i]);
  }
  options.answer = 1;
  EXPECT_NE(run(prompts[0], options).token_ids, fresh[0]) << "the second of -n answers is another";
  options.answer = 0;
  options.seed = 78;
  EXPECT_NE(run(prompts[0], options).token_ids, fresh[0]);
}

TEST_F(GeneratorTest, StopsWhenToldTo) {
  std::atomic<bool> cancel = true;
  const Answer none = generator_.generate(Ids{150}, greedy(5), {}, &cancel);
  EXPECT_EQ(none.finish, FinishReason::kInterrupted);
  EXPECT_TRUE(none.token_ids.empty());
  // Whatever was interrupted leaves nothing wrong behind.
  const json& golden = goldens_["greedy"][0];
  const Ids expected = golden["ids"];
  EXPECT_EQ(run(golden["prompt"], greedy(static_cast<std::int64_t>(expected.size()))).token_ids,
            expected);
}

TEST_F(GeneratorTest, ScoresWhatTheForwardPassSays) {
  const Score score = generator_.score("ação", "xyz, é");
  EXPECT_EQ(score.tokens.size(), std::string("xyz, é").size());
  Ids ids = generator_.raw_prompt("açãoxyz, é");
  Session session(model_, *backend_, {.slots = 1, .rows = 64, .wanted = 64});
  std::vector<Row> rows;
  Ids wanted;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    rows.push_back({ids[i], 0, static_cast<std::int32_t>(i)});
    wanted.push_back(static_cast<std::int32_t>(i));
  }
  const auto logits = session.forward(rows, wanted);
  double sum = 0;
  for (std::size_t i = 0; i < score.tokens.size(); ++i) {
    const std::size_t before = ids.size() - score.tokens.size() + i - 1;
    EXPECT_EQ(score.tokens[i].id, ids[before + 1]);
    EXPECT_EQ(score.tokens[i].logprob,
              log_probability(logits.subspan(before * 509, 509), ids[before + 1]));
    sum += score.tokens[i].logprob;
  }
  EXPECT_EQ(score.logprob, sum);
  EXPECT_FALSE(score.is_greedy);
  EXPECT_EQ(generator_.score("", "a").tokens.size(), 1U);
  EXPECT_TRUE(generator_.score("a", "").tokens.empty());
  EXPECT_NO_THROW(generator_.score("a", std::string(kContext, 'b')));
  EXPECT_THAT(error_of([&] { generator_.score("a", std::string(kContext + 1, 'b')); }),
              testing::HasSubstr("68 tokens"));
}

TEST_F(GeneratorTest, TheAnswersLogprobIsItsScore) {
  GenerateOptions options = greedy(10, 1.3);
  options.logprob = true;
  const Ids prompt = generator_.raw_prompt("abc");
  const Answer answer = run(prompt, options);
  double sum = 0;
  Session session(model_, *backend_, {.slots = 1, .rows = 64, .wanted = 1});
  Ids ids = prompt;
  for (const std::int32_t id : answer.token_ids) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      rows.push_back({ids[i], 0, static_cast<std::int32_t>(i)});
    }
    sum +=
        log_probability(session.forward(rows, Ids{static_cast<std::int32_t>(ids.size()) - 1}), id);
    ids.push_back(id);
  }
  EXPECT_DOUBLE_EQ(answer.logprob, sum);
}

TEST(DefaultOptions, TheModelsThenTheCards) {
  const GenerateOptions card = default_options({});
  EXPECT_EQ(card.sampling.temperature, 0.2);
  EXPECT_EQ(card.sampling.top_k, 30);
  EXPECT_EQ(card.sampling.top_p, 0.3);
  EXPECT_EQ(card.sampling.repetition_penalty, 1.2);
  EXPECT_EQ(card.max_new_tokens, 200);
  EXPECT_FALSE(card.sampling.greedy);
  GenerationConfig config;
  config.temperature = 0.7;
  config.max_new_tokens = 9;
  config.do_sample = false;
  const GenerateOptions own = default_options(config);
  EXPECT_EQ(own.sampling.temperature, 0.7);
  EXPECT_EQ(own.sampling.top_k, 30);
  EXPECT_EQ(own.max_new_tokens, 9);
  EXPECT_TRUE(own.sampling.greedy);
}

}  // namespace
}  // namespace aira
