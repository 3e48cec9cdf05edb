// The model's own log-probabilities and its most probable tokens.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cpu/kernels.h"
#include "run/scores.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

class SumExp : public testing::TestWithParam<const cpu::Kernels*> {
 protected:
  static double sum_exp(const std::vector<float>& x, double highest) {
    return GetParam()->sum_exp(x.data(), static_cast<std::int64_t>(x.size()), highest);
  }
};

TEST_P(SumExp, IsTheSumOfStdExp) {
  std::mt19937_64 random(3);
  for (const std::size_t count : {1, 2, 3, 7, 8, 9, 31, 32, 33, 100, 50257}) {
    for (const double spread : {1e-3, 1.0, 10.0, 200.0}) {
      SCOPED_TRACE(testing::Message() << count << " numbers, spread " << spread);
      std::normal_distribution<double> normal(5, spread);
      std::vector<float> x(count);
      for (float& number : x) number = static_cast<float>(normal(random));
      const double highest = *std::max_element(x.begin(), x.end());
      long double sum = 0;
      for (const float number : x) sum += std::exp(static_cast<long double>(number) - highest);
      EXPECT_NEAR(sum_exp(x, highest), static_cast<double>(sum), 1e-14 * static_cast<double>(sum));
    }
  }
}

TEST_P(SumExp, OneTermOverTheWholeRange) {
  for (double argument = -707.9; argument < 708.9; argument += 0.377) {
    const auto x = static_cast<float>(argument);
    const double expected = std::exp(static_cast<double>(x));
    EXPECT_NEAR(sum_exp({x}, 0), expected, 1e-14 * expected) << argument;
  }
}

TEST_P(SumExp, InfinityAndNan) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(sum_exp({-kInfinity, 0, -1e38F, -kInfinity}, 0), 1);
  EXPECT_EQ(sum_exp({0, kInfinity}, 0), kInfinity);
  EXPECT_EQ(sum_exp({0, 800}, 0), kInfinity);
  for (std::size_t at = 0; at < 37; ++at) {
    std::vector<float> x(37, 1);
    x[at] = std::nanf("");
    EXPECT_TRUE(std::isnan(sum_exp(x, 1))) << at;
  }
  EXPECT_TRUE(std::isnan(sum_exp({kInfinity}, kInfinity)));
  EXPECT_TRUE(std::isnan(sum_exp({-kInfinity}, -kInfinity)));
  EXPECT_EQ(sum_exp({}, 0), 0);
}

INSTANTIATE_TEST_SUITE_P(Every, SumExp, testing::ValuesIn(cpu::available_kernels()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

TEST(LogSoftmax, IsTheLogarithmOfASoftmax) {
  const std::vector<float> logits = {1, 2, 3};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(LogSoftmax(logits)[i], i + 1 - std::log(sum), 1e-12);
  }
}

TEST(LogSoftmax, TopIsMostProbableFirstThenById) {
  const std::vector<float> logits = {0.5F, 3, -2, 3, 0.5F, 0, 3};
  const LogSoftmax distribution(logits);
  const auto ids = [&](std::int64_t k) {
    Ids found;
    for (const auto& [token, logprob] : distribution.top(k)) {
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
