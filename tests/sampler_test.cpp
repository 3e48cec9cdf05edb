// The sampler against transformers' logits processors (tests/data/sampler/goldens.json), Philox
// against its authors' test vectors, draws against the distribution they are from.
#include "aira/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "aira/error.h"
#include "run/philox.h"

namespace aira {
namespace {

using nlohmann::json;

SamplingOptions options_of(const json& golden) {
  return {.temperature = golden["temperature"],
          .top_k = golden["top_k"],
          .top_p = golden["top_p"],
          .repetition_penalty = golden["repetition_penalty"]};
}

TEST(Sampler, DistributionsEqualTransformers) {
  std::ifstream file(std::string(AIRA_TEST_DATA) + "/sampler/goldens.json");
  int cases = 0;
  for (const json& golden : json::parse(file)) {
    const std::vector<float> logits = golden["logits"];
    const std::vector<std::int32_t> history = golden["history"];
    Sampler sampler(static_cast<std::int64_t>(logits.size()));
    for (const json& warped : golden["cases"]) {
      SCOPED_TRACE(golden["name"].get<std::string>() + " " + warped.dump());
      const auto got = sampler.distribution(logits, history, options_of(warped));
      std::map<std::int32_t, double> expected;
      for (std::size_t i = 0; i < warped["ids"].size(); ++i) {
        expected[warped["ids"][i]] = warped["probabilities"][i];
      }
      double previous = 1;
      for (const Candidate& candidate : got) {
        EXPECT_LE(candidate.probability, previous) << "most probable first";
        previous = candidate.probability;
        if (candidate.probability == 0)
          continue;  // beyond double's range; the golden leaves it out
        ASSERT_TRUE(expected.contains(candidate.token)) << candidate.token;
        // Scores are penalised in float32, as in transformers; then divided by the temperature.
        EXPECT_NEAR(candidate.probability, expected[candidate.token],
                    1e-5 * expected[candidate.token] + 1e-12);
        expected.erase(candidate.token);
      }
      for (const auto& [token, probability] : expected) EXPECT_LT(probability, 1e-300) << token;
      ++cases;
    }
  }
  EXPECT_GT(cases, 100);
}

// Random123's kat_vectors, philox4x32 with 10 rounds.
TEST(Philox, KnownAnswers) {
  using Four = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Uniform, DependsOnEveryPartOfThePlace) {
  const double base = uniform({1, 2, 3});
  EXPECT_EQ(base, uniform({1, 2, 3}));
  EXPECT_NE(base, uniform({2, 2, 3}));
  EXPECT_NE(base, uniform({1 + (std::uint64_t{1} << 32), 2, 3}));
  EXPECT_NE(base, uniform({1, 3, 3}));
  EXPECT_NE(base, uniform({1, 2, 4}));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const double u = uniform({9, 0, i});
    EXPECT_GE(u, 0);
    EXPECT_LT(u, 1);
  }
}

// Pearson's statistic over the tokens that are expected at least five times; its mean is the
// degrees of freedom k, its deviation sqrt(2 k). The seed is fixed, so the outcome is too.
TEST(Sampler, FrequenciesMatchTheDistribution) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(211);
  for (float& logit : logits) logit = normal(random);
  const std::vector<std::int32_t> history = {3, 3, 17, 90};
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 0.9, .top_k = 40, .top_p = 0.95, .repetition_penalty = 1.3},
        SamplingOptions{.temperature = 1.5, .top_k = 0, .top_p = 1, .repetition_penalty = 1},
        SamplingOptions{.temperature = 0.7, .top_k = 0, .top_p = 0.8, .repetition_penalty = 0.8}}) {
    Sampler sampler(211);
    constexpr int kDraws = 100000;
    std::vector<int> counts(logits.size());
    for (int i = 0; i < kDraws; ++i) {
      // Places as one answer after the other would use them.
      const DrawPlace place{42, static_cast<std::uint32_t>(i / 200),
                            static_cast<std::uint32_t>(i % 200)};
      ++counts[static_cast<std::size_t>(sampler.sample(logits, history, options, place))];
    }
    double statistic = 0;
    int cells = 0;
    int drawn = 0;
    for (const Candidate& candidate : sampler.distribution(logits, history, options)) {
      const int count = counts[static_cast<std::size_t>(candidate.token)];
      drawn += count;
      const double expected = candidate.probability * kDraws;
      if (expected < 5) continue;
      statistic += (count - expected) * (count - expected) / expected;
      ++cells;
    }
    EXPECT_EQ(drawn, kDraws) << "every draw is from the distribution's support";
    ASSERT_GT(cells, 5);
    EXPECT_LT(statistic, cells - 1 + 4 * std::sqrt(2.0 * (cells - 1)));
  }
}

TEST(Sampler, GreedyTakesTheFirstOfEqualsAfterThePenalty) {
  const std::vector<float> logits = {1, 5, 5, 4.9F, -3};
  Sampler sampler(5);
  const SamplingOptions greedy{.repetition_penalty = 1.2, .greedy = true};
  EXPECT_EQ(sampler.sample(logits, std::vector<std::int32_t>{}, greedy, {}), 1);
  EXPECT_EQ(sampler.sample(logits, std::vector<std::int32_t>{1, 1}, greedy, {}), 2);
  EXPECT_EQ(sampler.sample(logits, std::vector<std::int32_t>{2, 1}, greedy, {}), 3);
}

TEST(Sampler, OutputThatIsNoNumberIsAnError) {
  Sampler sampler(3);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& logits : {std::vector<float>{1, nan, 2},
                                           {nan, nan, nan},
                                           {1, infinity, 2},
                                           {-infinity, -infinity, -infinity}}) {
    for (const bool greedy : {false, true}) {
      EXPECT_THROW(sampler.sample(logits, std::vector<std::int32_t>{}, {.greedy = greedy}, {}),
                   Error);
    }
  }
  const std::vector<float> one_left = {-infinity, 3, -infinity};
  EXPECT_EQ(sampler.sample(one_left, std::vector<std::int32_t>{}, {}, {}), 1);
}

TEST(SamplingOptions, NamesTheOptionAndTheLegalRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto refuses = [](const SamplingOptions& options, const std::string& option) {
    try {
      options.validate();
      ADD_FAILURE() << option << " was accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("--" + option + " must be "));
    }
  };
  for (const double bad : {0.0, -1.0, nan, infinity}) {
    refuses({.temperature = bad}, "temperature");
    refuses({.repetition_penalty = bad}, "repetition-penalty");
  }
  refuses({.top_k = -1}, "top-k");
  for (const double bad : {0.0, -0.1, 1.01, nan}) refuses({.top_p = bad}, "top-p");
  EXPECT_NO_THROW(
      (SamplingOptions{.temperature = 1e-3, .top_k = 0, .top_p = 1, .repetition_penalty = 1}
           .validate()));
}

TEST(LogProbability, IsALogSoftmax) {
  const std::vector<float> logits = {1, 2, 3};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(log_probability(logits, i), i + 1 - std::log(sum), 1e-12);
}

}  // namespace
}  // namespace aira
