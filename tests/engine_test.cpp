// The engine through its public interface, with many threads at once; built under ThreadSanitizer
// too (tools/test). AIRA_STRESS_SECONDS lengthens the stress test.
#include "aira/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "byte_model.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

EngineOptions small_engine(std::int64_t sequences = 4) {
  return {.files = byte_model(true),
          .device = Device::kCpu,
          .dtype = DType::kF32,
          .threads = 2,
          .max_sequences = sequences};
}

/// Request number `i` of a varied kind: sampled, greedy, several answers, beams.
GenerateRequest request(int i) {
  GenerateRequest request;
  for (int k = 0; k < 3 + i * 7 % 50; ++k) {
    request.prompt.push_back(kByteModelFirstByte + (k * k + (k > 32 ? i : 0)) % 200);
  }
  GenerateOptions& options = request.options;
  options.sampling = {.temperature = 1.3, .top_k = 40, .top_p = 0.95, .repetition_penalty = 1.1};
  options.sampling.greedy = i % 5 == 1;
  options.max_new_tokens = 1 + i * 5 % 14;
  options.seed = static_cast<std::uint64_t>(i);
  options.answers = i % 4 == 2 ? 3 : 1;
  if (i % 7 == 3) options.num_beams = 3;
  return request;
}

/// What became of a request.
struct Record {
  std::vector<Answer> answers;
  std::vector<std::string> streamed;
  std::optional<std::string> problem;

  Listener listener() {
    return {.text =
                [this](std::size_t answer, std::string_view piece) {
                  if (streamed.size() <= answer) streamed.resize(answer + 1);
                  streamed[answer] += piece;
                },
            .finished =
                [this](std::size_t answer, const Answer& result) {
                  EXPECT_EQ(answer, answers.size());
                  answers.push_back(result);
                },
            .failed = [this](const Error& error) { problem = error.what(); }};
  }
  std::vector<Ids> ids() const {
    std::vector<Ids> all;
    for (const Answer& answer : answers) all.push_back(answer.token_ids);
    return all;
  }
};

std::vector<Ids> one_shot(Engine& engine, const GenerateRequest& request) {
  Record record;
  engine.submit(request, record.listener()).wait();
  EXPECT_EQ(record.problem, std::nullopt);
  return record.ids();
}

TEST(Engine, AnswersWhatTheSchedulerAnswers) {
  Engine engine(small_engine());
  Record record;
  const Ticket ticket = engine.submit(request(2), record.listener());
  ticket.wait();
  EXPECT_TRUE(ticket.poll());
  ASSERT_EQ(record.answers.size(), 3U);
  record.streamed.resize(3);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(record.streamed[i], record.answers[i].text);
  EXPECT_NE(record.answers[0].token_ids, record.answers[1].token_ids);
}

TEST(Engine, RefusesAtOnceWhatCanNeverBeDone) {
  Engine engine(small_engine());
  const auto refusal = [&](auto change) {
    GenerateRequest bad = request(0);
    change(bad);
    try {
      engine.submit(bad);
    } catch (const Error& error) {
      return std::string(error.with_fields());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal([](GenerateRequest& r) { r.prompt.clear(); }), testing::HasSubstr("empty"));
  EXPECT_THAT(refusal([](GenerateRequest& r) { r.prompt.assign(67, 150); }),
              testing::HasSubstr("67 tokens"));
  EXPECT_THAT(refusal([](GenerateRequest& r) { r.options.sampling.top_p = 2; }),
              testing::StartsWith("\"top_p\" must be"));
  EXPECT_THAT(refusal([](GenerateRequest& r) { r.options.num_beams = 5; }),
              testing::HasSubstr("5 beams"));
  EXPECT_THAT(refusal([](GenerateRequest& r) {
                r.options.sampling.logit_bias = {{99999, 1.F}};
              }),
              testing::HasSubstr("Token id 99999 in \"logit_bias\" is out of range 0..508."));
  EXPECT_EQ(refusal([](GenerateRequest& r) {
              r.options.sampling.bad_words = {{1, 508}, {509}};
            }),
            "Token id 509 in \"bad_words_ids\" is out of range 0..508.");
  EXPECT_EQ(refusal([](GenerateRequest& r) {
              r.options.sampling.sequence_bias = {{{1, 509}, 2}};
            }),
            "Token id 509 in \"sequence_bias\" is out of range 0..508.");
  EXPECT_EQ(refusal([](GenerateRequest& r) { r.options.sampling.forced_bos_token_id = {-1}; }),
            "Token id -1 in \"forced_bos_token_id\" is out of range 0..508.");
  EXPECT_EQ(refusal([](GenerateRequest& r) { r.options.sampling.forced_eos_token_id = {509}; }),
            "Token id 509 in \"forced_eos_token_id\" is out of range 0..508.");
  EXPECT_THAT(
      refusal([](GenerateRequest& r) { r.options.max_length = 1; }),
      testing::AllOf(testing::HasSubstr("\"max_length\" allows 1 with the answer"),
                     testing::HasSubstr("takes " + std::to_string(request(0).prompt.size()))));
}

// Failing requests once leaked their slot: many of them, then one that needs every slot.
TEST(Engine, RequestsThatEndEarlyGiveBackWhatTheyHeld) {
  Engine engine(small_engine());
  GenerateRequest forbidden = request(2);
  forbidden.options.sampling.min_new_tokens = 5;
  for (std::int32_t id = 0; id < 509; ++id) forbidden.options.sampling.bad_words.push_back({id});
  for (int i = 0; i < 12; ++i) {
    Record record;
    engine.submit(forbidden, record.listener()).wait();
    EXPECT_THAT(record.problem.value_or(""), testing::HasSubstr("No token is left"));
    const Ticket cancelled = engine.submit(request(6));
    engine.cancel(cancelled);
    cancelled.wait();
  }
  GenerateRequest beams = request(0);
  beams.options.num_beams = 4;
  EXPECT_EQ(one_shot(engine, beams).size(), 1U);
}

TEST(Engine, TrySubmitRefusesWhenTheInboxIsFull) {
  Engine engine(small_engine(1));
  GenerateRequest longest = request(0);
  longest.options.max_new_tokens = 60;
  longest.options.answers = 1000;
  std::vector<Ticket> tickets = {engine.submit(longest)};
  while (const auto ticket = engine.try_submit(longest)) tickets.push_back(*ticket);
  EXPECT_GE(tickets.size(), 1U);
  EXPECT_LE(tickets.size(), 3U);  // one running, one waiting, one in the inbox
  engine.cancel_all();
  engine.drain();
  for (const Ticket& ticket : tickets) EXPECT_TRUE(ticket.poll());
  EXPECT_TRUE(engine.try_submit(request(0)).has_value());
}

TEST(Engine, ASlowListenerDelaysNobody) {
  Engine engine(small_engine());
  std::atomic<bool> released{false};
  Record slow;
  Listener blocking = slow.listener();
  blocking.text = [&](std::size_t, std::string_view) { released.wait(false); };
  const Ticket first = engine.submit(request(1), blocking);
  std::thread waiter([&] { first.wait(); });
  for (int i = 0; i < 6; ++i) EXPECT_FALSE(one_shot(engine, request(5 * i)).empty());
  released = true;
  released.notify_all();
  waiter.join();
  EXPECT_EQ(slow.answers.size(), 1U);
}

TEST(Engine, WhatAListenerThrowsLeavesWaitAndHarmsNobody) {
  Engine engine(small_engine());
  const std::vector<Ids> expected = one_shot(engine, request(4));
  Listener throwing;
  throwing.finished = [](std::size_t, const Answer&) { throw std::runtime_error("closed"); };
  const Ticket ticket = engine.submit(request(0), throwing);
  EXPECT_THROW(ticket.wait(), std::runtime_error);
  ticket.wait();
  EXPECT_EQ(one_shot(engine, request(4)), expected);
}

TEST(Engine, ScoresTextsBesideAnswers) {
  Engine engine(small_engine());
  Score score;
  const Ticket ticket = engine.submit(ScoreRequest{engine.prompts().raw("ação"), 1},
                                      {.scored = [&](const Score& result) { score = result; }});
  EXPECT_FALSE(one_shot(engine, request(0)).empty());
  ticket.wait();
  EXPECT_EQ(score.tokens.size(), 5U);
  Score nothing;
  bool came = false;
  engine
      .submit(ScoreRequest{{150}, 1}, {.scored =
                                           [&](const Score& result) {
                                             nothing = result;
                                             came = true;
                                           }})
      .wait();
  EXPECT_TRUE(came);
  EXPECT_TRUE(nothing.tokens.empty());
}

TEST(Engine, IsDestroyedWithRequestsAtWork) {
  std::optional<Ticket> ticket;
  {
    Engine engine(small_engine(1));
    GenerateRequest longest = request(0);
    longest.options.answers = 1000;
    ticket = engine.submit(longest);
  }
  ticket->wait();
  EXPECT_TRUE(ticket->poll());
}

// Eight threads submit and cancel at random; every answer that finishes equals its one-shot.
TEST(Engine, ManyThreadsSubmitAndCancelAtRandom) {
  constexpr int kKinds = 24;
  Engine engine(small_engine());
  std::vector<std::vector<Ids>> expected;
  for (int i = 0; i < kKinds; ++i) expected.push_back(one_shot(engine, request(i)));
  const char* seconds = std::getenv("AIRA_STRESS_SECONDS");
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::seconds(seconds == nullptr ? 1 : std::atoi(seconds));
  std::atomic<int> finished{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      while (std::chrono::steady_clock::now() < deadline || finished <= 8) {
        const int kind = static_cast<int>(random() % kKinds);
        Record record;
        const Ticket ticket = engine.submit(request(kind), record.listener());
        const bool cancels = random() % 3 == 0;
        if (cancels) {
          if (random() % 2 == 0) std::this_thread::yield();
          engine.cancel(ticket);
        }
        if (random() % 50 == 0) {
          while (!ticket.poll()) std::this_thread::yield();
        } else {
          ticket.wait();
        }
        EXPECT_EQ(record.problem, std::nullopt);
        if (!cancels || (!record.answers.empty() &&
                         record.answers.back().finish != FinishReason::kInterrupted)) {
          EXPECT_EQ(record.ids(), expected[static_cast<std::size_t>(kind)]) << kind;
          ++finished;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace aira
