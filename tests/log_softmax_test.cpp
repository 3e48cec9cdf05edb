// The model's own log-probabilities and its most probable tokens.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "run/sampler.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(LogProbability, IsALogSoftmax) {
  const std::vector<float> logits = {1, 2, 3};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(log_probability(logits, i), i + 1 - std::log(sum), 1e-12);
}

TEST(LogSoftmax, TopIsMostProbableFirstThenById) {
  const std::vector<float> logits = {0.5F, 3, -2, 3, 0.5F, 0, 3};
  const LogSoftmax distribution(logits);
  const auto ids = [&](std::int64_t k) {
    Ids found;
    for (const auto& [token, logprob] : distribution.top(k)) {
      EXPECT_EQ(logprob, log_probability(logits, token));
      EXPECT_EQ(logprob, distribution[token]);
      found.push_back(token);
    }
    return found;
  };
  EXPECT_EQ(ids(0), Ids{});
  EXPECT_EQ(ids(1), Ids{1});
  EXPECT_EQ(ids(2), (Ids{1, 3}));
  EXPECT_EQ(ids(4), (Ids{1, 3, 6, 0}));
  EXPECT_EQ(ids(7), (Ids{1, 3, 6, 0, 4, 5, 2}));
  EXPECT_EQ(ids(1000), (Ids{1, 3, 6, 0, 4, 5, 2}));
}

// Neighbouring floats far below the best have log-probabilities that differ in double only.
TEST(LogSoftmax, TopTellsNeighbouringLogitsApart) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 2.5);
  std::vector<float> logits(20011);
  for (float& logit : logits) logit = normal(random);
  logits[20000] = 5e4F;
  logits[90] = std::nextafter(4e4F, 5e4F);
  logits[80] = 4e4F;
  const auto top = LogSoftmax(logits).top(3);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].token, 20000);
  EXPECT_EQ(top[1].token, 90);
  EXPECT_EQ(top[2].token, 80);
  EXPECT_EQ(top[0].log_probability, 0);
  EXPECT_EQ(top[2].log_probability, -1e4);
}

}  // namespace
}  // namespace aira
