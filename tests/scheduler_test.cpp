// Prompts and Scheduler on a small random checkpoint with a vocabulary of single bytes and the
// three markers: stop rules, limits, many requests at once, what is kept between them, scores.
#include "run/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "aira/error.h"
#include "aira/prompts.h"
#include "byte_model.h"
#include "cpu/cpu_backend.h"
#include "model_fixtures.h"
#include "requests.h"
#include "run/beam_search.h"
#include "run/request_options.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kContext = kByteModelContext;
constexpr std::int32_t kFirstByte = kByteModelFirstByte;
constexpr std::int32_t kStart = kByteModelStart;
constexpr std::int32_t kEnd = kByteModelEnd;
constexpr std::int32_t kCompletionEnd = kByteModelCompletionEnd;

class SchedulerTest : public testing::Test {
 protected:
  explicit SchedulerTest(bool markers = true)
      : files_(byte_model(markers)),
        backend_(make_cpu_backend(threads_)),
        model_(Model::load(files_, *backend_, DType::kF32)),
        tokenizer_(Tokenizer::load(files_)),
        prompts_(tokenizer_, model_.config.eos, std::vector{2, 3}),
        scheduler_(make()) {
    std::ifstream file(byte_model_folder() + "/goldens.json");
    goldens_ = json::parse(file);
  }
  std::unique_ptr<Scheduler> make(std::int64_t slots = 3) {
    return std::make_unique<Scheduler>(model_, tokenizer_, *backend_, threads_, prompts_.end_ids(),
                                       slots);
  }
  static GenerateOptions greedy(std::int64_t tokens, double penalty = 1) {
    GenerateOptions options;
    options.sampling = {.repetition_penalty = penalty, .greedy = true};
    options.max_new_tokens = tokens;
    return options;
  }
  static GenerateOptions hot(std::uint64_t seed, std::int64_t tokens) {
    GenerateOptions options;
    options.sampling = {.temperature = 1.5, .top_k = 0, .top_p = 1, .repetition_penalty = 1.1};
    options.max_new_tokens = tokens;
    options.seed = seed;
    return options;
  }
  static std::vector<Answer> run_with(Scheduler& scheduler, const Ids& prompt,
                                      const GenerateOptions& options) {
    const auto pending = ask(scheduler, GenerateRequest{prompt, options});
    while (!pending->done()) scheduler.step();
    EXPECT_TRUE(scheduler.idle());
    if (pending->problem) throw Error(*pending->problem);
    pending->streamed.resize(pending->answers.size());
    const bool streams = options.best_of <= 1 && options.num_beams == 1;
    for (std::size_t i = 0; i < pending->answers.size() && streams; ++i) {
      EXPECT_EQ(pending->streamed[i], pending->answers[i].text);
    }
    return pending->answers;
  }
  Answer run(const Ids& prompt, const GenerateOptions& options) {
    return run_with(*scheduler_, prompt, options).front();
  }
  Score score(const Ids& ids, std::int64_t first, bool rolling = false) {
    const auto pending = ask(*scheduler_, ScoreRequest{ids, first, rolling});
    while (!pending->done()) scheduler_->step();
    if (pending->problem) throw Error(*pending->problem);
    return pending->score;
  }

  ModelFiles files_;
  ThreadPool threads_{2};
  std::unique_ptr<Backend> backend_;
  Model model_;
  Tokenizer tokenizer_;
  Prompts prompts_;
  std::unique_ptr<Scheduler> scheduler_;
  json goldens_;
};

class BaseModelSchedulerTest : public SchedulerTest {
 protected:
  BaseModelSchedulerTest() : SchedulerTest(false) {}
};

TEST_F(SchedulerTest, ContinuesAsTransformersDoes) {
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

TEST_F(SchedulerTest, PromptsHaveTheirMarkers) {
  EXPECT_EQ(prompts_.question("Oi"), (Ids{kStart, 'O' + 100, 'i' + 100, kEnd}));
  // What a user types is text, never a marker.
  const Ids typed = prompts_.question("<|endofinstruction|>");
  EXPECT_EQ(typed.size(), 2 + std::string("<|endofinstruction|>").size());
  const std::vector<std::pair<std::string, std::string>> turns = {{"a", "b"}};
  EXPECT_EQ(prompts_.question("c", turns),
            (Ids{kStart, 'a' + 100, kEnd, 'b' + 100, kCompletionEnd, kStart, 'c' + 100, kEnd}));
  EXPECT_EQ(prompts_.raw("x"), (Ids{'x' + 100}));
}

TEST_F(BaseModelSchedulerTest, HasOnlyRawText) {
  EXPECT_FALSE(prompts_.has_markers());
  EXPECT_THAT(error_of([&] { prompts_.question("Oi"); }), testing::HasSubstr("--raw"));
  EXPECT_EQ(prompts_.raw("Oi").size(), 2U);
  EXPECT_EQ(prompts_.raw(""), (Ids{2})) << "starts from the model's end token";
}

TEST_F(SchedulerTest, EndsAtAnEndToken) {
  // The end token of the dialogue is made the answer by asking for what greedy says third.
  const Answer free = run({kStart, 150, kEnd}, greedy(8));
  ASSERT_EQ(free.token_ids.size(), 8U);
  Scheduler ended(model_, tokenizer_, *backend_, threads_, {free.token_ids[2]}, 1);
  const Answer answer = run_with(ended, {kStart, 150, kEnd}, greedy(8)).front();
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  const auto end = std::find(free.token_ids.begin(), free.token_ids.end(), free.token_ids[2]);
  EXPECT_EQ(answer.token_ids, Ids(free.token_ids.begin(), end + 1)) << "the end token included";
}

TEST_F(SchedulerTest, FillsTheContextAndNoMore) {
  for (const std::int32_t prompt : {1, 5, kContext - 1}) {
    const Answer answer = run(Ids(static_cast<std::size_t>(prompt), 150), greedy(1000, 1.2));
    EXPECT_EQ(answer.finish, FinishReason::kLength);
    EXPECT_EQ(answer.token_ids.size(), static_cast<std::size_t>(kContext - prompt));
  }
}

TEST_F(SchedulerTest, TooLongAPromptNamesBothLengths) {
  const std::string sentence =
      error_of([&] { run(Ids(static_cast<std::size_t>(kContext), 150), greedy(5)); });
  EXPECT_THAT(sentence, testing::HasSubstr("67 tokens"));
  EXPECT_THAT(sentence, testing::HasSubstr("holds 67"));
}

TEST_F(SchedulerTest, IdsBeyondTheModelsVocabularyAreAnError) {
  EXPECT_THAT(error_of([&] { run({509}, greedy(1)); }), testing::HasSubstr("out of range 0..508"));
}

TEST_F(SchedulerTest, AnAnswerDependsOnNothingBeforeIt) {
  GenerateOptions options = hot(77, 20);
  const std::vector<Ids> prompts = {
      {kStart, 150, 151, 152, kEnd}, {kStart, 150, 151, 200, kEnd}, {150}, {kStart, 150, 151}};
  std::vector<Ids> fresh;
  for (const Ids& prompt : prompts) {
    fresh.push_back(run_with(*make(), prompt, options).front().token_ids);
  }
  EXPECT_NE(fresh[0], fresh[1]);
  for (const std::size_t i : {0, 1, 0, 3, 2, 1, 3, 3, 0}) {
    EXPECT_EQ(run(prompts[i], options).token_ids, fresh[i]);
  }
  options.seed = 78;
  EXPECT_NE(run(prompts[0], options).token_ids, fresh[0]);
}

TEST_F(SchedulerTest, AnswersAreTheSameHoweverTheyAreBatched) {
  // Prompts of all lengths, two of them alike, one answer or several, some that fill the context.
  std::vector<GenerateRequest> requests;
  for (int i = 0; i < 24; ++i) {
    Ids prompt(static_cast<std::size_t>(1 + i * 17 % 61), 150);
    for (std::size_t k = 0; k < prompt.size(); ++k) {
      prompt[k] = kFirstByte + static_cast<std::int32_t>((k * k + (k > 40 ? i : 0)) % 200);
    }
    GenerateRequest request{prompt, hot(static_cast<std::uint64_t>(i), 1 + i * 7 % 30)};
    request.options.answers = i % 5 == 0 ? 4 : 1;
    requests.push_back(std::move(request));
  }
  std::vector<std::vector<Ids>> alone;
  for (const GenerateRequest& request : requests) {
    alone.emplace_back();
    for (const Answer& answer : run_with(*make(1), request.prompt, request.options)) {
      alone.back().push_back(answer.token_ids);
    }
  }
  for (const std::int64_t slots : {1, 2, 7, 32}) {
    const auto scheduler = make(slots);
    std::vector<PendingPointer> pending;
    for (const GenerateRequest& request : requests) {
      pending.push_back(ask(*scheduler, request));
    }
    while (scheduler->step()) {
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      ASSERT_TRUE(pending[i]->done());
      ASSERT_EQ(pending[i]->answers.size(), alone[i].size());
      for (std::size_t n = 0; n < alone[i].size(); ++n) {
        EXPECT_EQ(pending[i]->answers[n].token_ids, alone[i][n])
            << slots << " slots, request " << i << ", answer " << n;
      }
    }
  }
}

TEST_F(SchedulerTest, BeamsGoOnFromTheirParentsPages) {
  // Prompts that end before, at and behind the end of a page, beside answers that are sampled.
  std::vector<GenerateRequest> requests;
  for (const int length : {1, 27, 32, 33, 61}) {
    for (const std::int64_t beams : {2, 5}) {
      Ids prompt;
      for (int i = 0; i < length; ++i) prompt.push_back(kFirstByte + (i * i + length) % 200);
      GenerateOptions options = greedy(30, 1.2);
      options.num_beams = beams;
      options.answers = 2;
      options.length_penalty = 1;
      options.early_stopping = EarlyStopping::kFalse;
      requests.push_back({prompt, options});
      requests.push_back({prompt, hot(3, 9)});
    }
  }
  const auto scheduler = make(7);
  std::vector<PendingPointer> pending;
  for (const GenerateRequest& request : requests) {
    pending.push_back(ask(*scheduler, request));
  }
  while (scheduler->step()) {
  }
  Session session(model_, *backend_, {.slots = 1, .rows = kContext, .output_rows = 1});
  for (std::size_t i = 0; i < requests.size(); i += 2) {
    // The same search with every beam computed from its first token on.
    const GenerateRequest& request = requests[i];
    const auto left = kContext - static_cast<std::int64_t>(request.prompt.size());
    GenerateOptions options = request.options;
    options.max_new_tokens = std::min<std::int64_t>(30, left);
    options.eos_token_id = prompts_.end_ids();
    BeamSearch search(options, request.prompt);
    ScoreRow scratch(model_.config.vocab);
    for (; !search.done(); search.advance()) {
      for (std::size_t b = 0; b < search.beams().size(); ++b) {
        std::vector<Row> rows;
        for (const std::int32_t id : search.beams()[b].ids) {
          rows.push_back({id, 0, static_cast<std::int32_t>(rows.size())});
        }
        const Ids last = {static_cast<std::int32_t>(rows.size()) - 1};
        search.rank(b, session.forward(rows, last), scratch);
      }
    }
    const std::vector<Answer>& answers = pending[i]->answers;
    ASSERT_EQ(answers.size(), 2U);
    for (std::size_t n = 0; n < 2; ++n) {
      EXPECT_EQ(answers[n].token_ids, search.results()[n].token_ids) << request.prompt.size();
      EXPECT_EQ(answers[n].score, search.results()[n].score);
    }
    EXPECT_EQ(pending[i + 1]->answers[0].token_ids,
              run_with(*make(1), requests[i + 1].prompt, requests[i + 1].options)[0].token_ids);
  }
}

TEST_F(SchedulerTest, MoreBeamsThanSlotsAreRefused) {
  GenerateOptions options = greedy(3);
  options.num_beams = 4;
  EXPECT_THAT(error_of([&] { run({150}, options); }), testing::HasSubstr("--batch"));
}

TEST_F(SchedulerTest, ManyAnswersDifferAndAreNumbered) {
  GenerateOptions options = hot(5, 12);
  options.answers = 7;  // more than there are slots
  const std::vector<Answer> all = run_with(*scheduler_, {kStart, 150, kEnd}, options);
  ASSERT_EQ(all.size(), 7U);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_NE(all[i].token_ids, all[0].token_ids);
  options.answers = 2;
  const std::vector<Answer> two = run_with(*scheduler_, {kStart, 150, kEnd}, options);
  EXPECT_EQ(two[0].token_ids, all[0].token_ids);
  EXPECT_EQ(two[1].token_ids, all[1].token_ids);
}

TEST_F(SchedulerTest, TheBestOfSeveralHasTheBestAverageLogprob) {
  GenerateOptions options = hot(9, 12);
  options.answers = 6;
  options.logprob = true;
  std::vector<Answer> all = run_with(*scheduler_, {kStart, 150, kEnd}, options);
  const auto average = [](const Answer& answer) {
    return answer.logprob / static_cast<double>(answer.token_ids.size());
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Answer& a, const Answer& b) { return average(a) > average(b); });
  options.answers = 2;
  options.best_of = 6;
  const std::vector<Answer> best = run_with(*scheduler_, {kStart, 150, kEnd}, options);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].token_ids, all[0].token_ids);
  EXPECT_EQ(best[1].token_ids, all[1].token_ids);
  EXPECT_FALSE(best[0].text.empty());
}

TEST_F(SchedulerTest, ALoopEndsTheAnswer) {
  // What has been said is made more probable still.
  GenerateOptions options = greedy(60, 0.5);
  const Answer whole = run({150}, options);
  options.stop_on_loop = true;
  const Answer cut = run({150}, options);
  ASSERT_LT(cut.token_ids.size(), whole.token_ids.size());
  EXPECT_EQ(cut.finish, FinishReason::kLoop);
  EXPECT_TRUE(std::equal(cut.token_ids.begin(), cut.token_ids.end(), whole.token_ids.begin()));
}

TEST_F(SchedulerTest, CancelEndsWithWhatThereIs) {
  const auto one = make(1);
  const auto first = ask(*one, GenerateRequest{{150}, greedy(50)});
  const auto second = ask(*one, GenerateRequest{{151}, greedy(50)});
  for (int i = 0; i < 5; ++i) one->step();
  one->cancel_all();
  EXPECT_TRUE(one->idle());
  for (const auto& pending : {first, second}) {
    ASSERT_TRUE(pending->done());
    ASSERT_EQ(pending->answers.size(), 1U);
    EXPECT_EQ(pending->answers[0].finish, FinishReason::kInterrupted);
  }
  EXPECT_EQ(first->answers[0].token_ids.size(), 5U);
  EXPECT_TRUE(second->answers[0].token_ids.empty());
  // Nothing wrong is left behind.
  const json& golden = goldens_["greedy"][0];
  const Ids expected = golden["ids"];
  const auto count = static_cast<std::int64_t>(expected.size());
  EXPECT_EQ(run_with(*one, golden["prompt"], greedy(count)).front().token_ids, expected);
}

TEST_F(SchedulerTest, CancellingOneRequestLeavesTheOthersAlone) {
  const auto scheduler = make(3);
  const Ids expected = run_with(*scheduler, {151}, greedy(20)).front().token_ids;
  const auto first = ask(*scheduler, GenerateRequest{{150}, greedy(50)});
  const auto second = ask(*scheduler, GenerateRequest{{151}, greedy(20)});
  for (int i = 0; i < 5; ++i) scheduler->step();
  scheduler->cancel(*first->task);
  EXPECT_EQ(first->answers.at(0).finish, FinishReason::kInterrupted);
  while (scheduler->step()) {
  }
  EXPECT_EQ(second->answers.at(0).token_ids, expected);
}

TEST_F(SchedulerTest, NoneOfTheBestOfSeveralIsDeliveredWhenCancelled) {
  // With one slot they are drawn one after the other: the first has ended, the second has begun.
  GenerateOptions options = hot(9, 4);
  options.best_of = 3;
  const auto scheduler = make(1);
  const auto pending = ask(*scheduler, GenerateRequest{{kStart, 150, kEnd}, options});
  for (int i = 0; i < 6; ++i) scheduler->step();
  EXPECT_TRUE(pending->answers.empty());
  scheduler->cancel_all();
  EXPECT_TRUE(pending->done());
  ASSERT_EQ(pending->answers.size(), 1U);
  EXPECT_EQ(pending->answers[0].finish, FinishReason::kInterrupted);
}

TEST_F(SchedulerTest, AnswersAreDeliveredAsTheyEnd) {
  GenerateOptions options = hot(4, 3);
  options.answers = 1000;
  const auto scheduler = make(1);
  const auto running = ask(*scheduler, GenerateRequest{{150}, options});
  const auto waiting = ask(*scheduler, GenerateRequest{{151}, options});
  for (int i = 0; i < 9; ++i) scheduler->step();
  EXPECT_GE(running->answers.size(), 2U);
  EXPECT_LE(running->answers.size(), 6U);
  EXPECT_EQ(scheduler->waiting(), 1U);
  scheduler->cancel_all();
  EXPECT_EQ(waiting->answers.size(), 1U);
}

TEST_F(SchedulerTest, ALogprobIsANumberWhateverTheLengthPenalty) {
  GenerateOptions options = greedy(5);
  options.num_beams = 2;
  for (const double penalty : {0., 1000.}) {  // 5^1000 is no number
    options.length_penalty = penalty;
    const auto pending = ask(*scheduler_, GenerateRequest{{150}, options});
    while (!pending->done()) scheduler_->step();
    const Answer& answer = pending->answers.at(0);
    EXPECT_LT(answer.logprob, 0);
    EXPECT_EQ(answer.score, penalty == 0 ? answer.logprob : 0);
  }
}

TEST_F(SchedulerTest, ScoresWhatTheForwardPassSays) {
  Ids ids = prompts_.raw("açãoxyz, é");
  const auto count = static_cast<std::int64_t>(std::string("xyz, é").size());
  const auto first = static_cast<std::int64_t>(ids.size()) - count;
  const Score scored = score(ids, first);
  ASSERT_EQ(static_cast<std::int64_t>(scored.tokens.size()), count);
  Session session(model_, *backend_, {.slots = 1, .rows = 64, .output_rows = 64});
  std::vector<Row> rows;
  Ids wanted;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    rows.push_back({ids[i], 0, static_cast<std::int32_t>(i)});
    wanted.push_back(static_cast<std::int32_t>(i));
  }
  const auto logits = session.forward(rows, wanted);
  double sum = 0;
  for (std::size_t i = 0; i < scored.tokens.size(); ++i) {
    const std::size_t before = static_cast<std::size_t>(first) + i - 1;
    EXPECT_EQ(scored.tokens[i].token, ids[before + 1]);
    EXPECT_EQ(scored.tokens[i].log_probability,
              LogSoftmax(logits.subspan(before * 509, 509))[ids[before + 1]]);
    sum += scored.tokens[i].log_probability;
  }
  EXPECT_EQ(scored.logprob, sum);
  EXPECT_FALSE(scored.is_greedy);
  EXPECT_TRUE(score({150}, 1).tokens.empty());
  EXPECT_NO_THROW(score(Ids(kContext + 1, 150), 3));
  EXPECT_THAT(error_of([&] { score(Ids(kContext + 2, 150), 3); }), testing::HasSubstr("68 tokens"));
}

TEST_F(SchedulerTest, LongTextsAreScoredInWindows) {
  // What lm-evaluation-harness's get_rolling_token_windows gives, spelled out.
  Ids ids;
  for (int i = 0; i < 3 * kContext + 12; ++i) ids.push_back(kFirstByte + i * i % 251);
  const Score scored = score(ids, 1, true);
  ASSERT_EQ(scored.tokens.size(), ids.size() - 1);
  const auto part = [&](std::size_t begin, std::size_t end) {
    return Ids(ids.begin() + static_cast<long>(begin), ids.begin() + static_cast<long>(end));
  };
  std::vector<TokenLogProbability> expected;
  const auto add = [&](const Ids& window, std::int64_t first) {
    const Score one = score(window, first);
    expected.insert(expected.end(), one.tokens.begin(), one.tokens.end());
  };
  const std::size_t n = ids.size();
  add(part(0, kContext + 1), 1);
  add(part(kContext, 2 * kContext + 1), 1);
  add(part(2 * kContext, 3 * kContext + 1), 1);
  add(part(n - 1 - kContext, n), kContext - 10);  // eleven are left
  ASSERT_EQ(expected.size(), scored.tokens.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(scored.tokens[i].token, expected[i].token) << i;
    EXPECT_EQ(scored.tokens[i].log_probability, expected[i].log_probability) << i;
  }
}

TEST_F(SchedulerTest, TheAnswersLogprobIsItsScore) {
  GenerateOptions options = greedy(10, 1.3);
  options.logprob = true;
  const Ids prompt = prompts_.raw("abc");
  const Answer answer = run(prompt, options);
  Ids ids = prompt;
  ids.insert(ids.end(), answer.token_ids.begin(), answer.token_ids.end());
  EXPECT_DOUBLE_EQ(answer.logprob, score(ids, static_cast<std::int64_t>(prompt.size())).logprob);
}

}  // namespace
}  // namespace aira
