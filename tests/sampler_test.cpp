// The sampler against transformers' logits processors (tests/data/sampler/goldens.json), Philox
// against its authors' test vectors, draws against the distribution they are from.
#include "run/sampler.h"

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
#include "golden_options.h"

namespace aira {
namespace {

using nlohmann::json;

void expect_distribution(std::span<const Candidate> got, const json& warped) {
  std::map<std::int32_t, double> expected;
  for (std::size_t i = 0; i < warped["ids"].size(); ++i) {
    expected[warped["ids"][i]] = warped["probabilities"][i];
  }
  double previous = 1;
  for (const Candidate& candidate : got) {
    EXPECT_LE(candidate.probability, previous) << "most probable first";
    previous = candidate.probability;
    if (candidate.probability == 0) continue;  // beyond double's range; the golden leaves it out
    ASSERT_TRUE(expected.contains(candidate.token)) << candidate.token;
    // Scores are processed in float32, as in transformers; then divided by the temperature.
    EXPECT_NEAR(candidate.probability, expected[candidate.token],
                1e-5 * expected[candidate.token] + 1e-12);
    expected.erase(candidate.token);
  }
  for (const auto& [token, probability] : expected) EXPECT_LT(probability, 1e-300) << token;
}

TEST(Sampler, DistributionsEqualTransformers) {
  std::ifstream file(std::string(AIRA_TEST_DATA) + "/sampler/goldens.json");
  int cases = 0;
  for (const json& golden : json::parse(file)) {
    const std::vector<float> logits = golden["logits"];
    const std::vector<std::int32_t> ids = golden["history"];
    const std::vector<std::int32_t> end_ids = golden["end_ids"];
    Sampler sampler(static_cast<std::int64_t>(logits.size()));
    for (const json& warped : golden["cases"]) {
      SCOPED_TRACE(golden["name"].get<std::string>() + " " + warped.dump());
      const SamplingOptions options = options_of(warped);
      const History history{ids, golden["prompt"], end_ids, warped.value("max_length", 0)};
      EXPECT_NO_THROW(GenerateOptions{.sampling = options}.validate());
      expect_distribution(sampler.distribution(logits, history, options), warped);
      ++cases;
    }
  }
  EXPECT_GT(cases, 850);
}

/// Logits as a language model's: few large ones, a long tail, some equal.
std::vector<float> long_tailed(std::size_t vocab) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 2.5);
  std::vector<float> logits(vocab);
  for (float& logit : logits) logit = std::round(normal(random) * 512) / 512;
  logits[7] += 6;
  return logits;
}

// Many candidates are cut before they are sorted, and a draw sorts only what it can reach; neither
// may change anything.
TEST(Sampler, ALargeVocabularyIsCutWhereSortingItWouldCutIt) {
  const std::vector<float> logits = long_tailed(50257);
  Sampler sampler(50257);
  const SamplingOptions off{.temperature = 0.8, .top_k = 0, .top_p = 1, .repetition_penalty = 1};
  const auto whole = sampler.distribution(logits, {}, off);
  const std::vector<Candidate> sorted(whole.begin(), whole.end());
  ASSERT_EQ(sorted.size(), logits.size());
  for (const double top_p : {0.01, 0.3, 0.77, 0.95, 0.9999}) {
    std::size_t kept = sorted.size();
    for (double tail = 0; kept > 1; --kept) {
      tail += sorted[kept - 1].probability;
      if (tail > 1 - top_p) break;
    }
    SamplingOptions options = off;
    options.top_p = top_p;
    const auto got = sampler.distribution(logits, {}, options);
    ASSERT_EQ(got.size(), kept) << top_p;
    for (std::size_t i = 0; i < kept; ++i) ASSERT_EQ(got[i].token, sorted[i].token) << top_p;
  }
  for (const double tiny : {1e-300, 1e-17}) {  // 1 - tiny is 1
    SamplingOptions options = off;
    options.top_p = tiny;
    EXPECT_EQ(sampler.distribution(logits, {}, options).size(), 1U);
    options.top_p = 1;
    options.typical_p = tiny;
    EXPECT_GE(sampler.distribution(logits, {}, options).size(), 1U);
    EXPECT_LE(sampler.distribution(logits, {}, options).size(), 100U);
  }
  for (std::uint32_t i = 0; i < 300; ++i) {
    double left = uniform({3, 0, i});
    std::size_t at = 0;
    while (left -= sorted[at].probability, left >= 0) ++at;
    ASSERT_EQ(sampler.sample(logits, {}, off, {3, 0, i}), sorted[at].token);
  }
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
  const std::vector<std::int32_t> ids = {3, 3, 17, 90};
  const std::vector<std::int32_t> end_ids = {20, 21};
  const History history{ids, 3, end_ids};
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 0.9, .top_k = 40, .top_p = 0.95, .repetition_penalty = 1.3},
        SamplingOptions{.temperature = 1.5, .top_k = 0, .top_p = 1, .repetition_penalty = 1},
        SamplingOptions{.temperature = 0.7, .top_k = 0, .top_p = 0.8, .repetition_penalty = 0.8},
        SamplingOptions{
            .temperature = 1.2, .top_k = 0, .top_p = 1, .min_p = 0.02, .repetition_penalty = 1},
        SamplingOptions{
            .temperature = 1.8, .top_k = 0, .top_p = 1, .typical_p = 0.7, .repetition_penalty = 1},
        SamplingOptions{.temperature = 1.1,
        .top_k = 80,
        .top_p = 0.97,
        .min_p = 0.01,
        .typical_p = 0.9,
        .repetition_penalty = 1.1,
        .no_repeat_ngram_size = 2,
        .min_new_tokens = 2,
        .bad_words = {{5}, {90, 11}},
        .logit_bias = {{8, 2.5F}, {12, -1}}}}) {
    Sampler sampler(211);
    constexpr int kDraws = 20000;
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

using Ids = std::vector<std::int32_t>;

std::int32_t greedy_choice(const std::vector<float>& logits, const Ids& ids,
                           SamplingOptions options) {
  options.greedy = true;
  Sampler sampler(static_cast<std::int64_t>(logits.size()));
  return sampler.sample(logits, {.ids = ids}, options, {});
}

TEST(Sampler, GreedyTakesTheFirstOfEqualsAfterTheProcessors) {
  const std::vector<float> logits = {1, 5, 5, 4.9F, -3};
  const SamplingOptions penalty{.repetition_penalty = 1.2};
  EXPECT_EQ(greedy_choice(logits, {}, penalty), 1);
  EXPECT_EQ(greedy_choice(logits, {1, 1}, penalty), 2);
  EXPECT_EQ(greedy_choice(logits, {2, 1}, penalty), 3);
  // What comes after the processors does not apply.
  EXPECT_EQ(greedy_choice(logits, {}, {.typical_p = 0.01, .repetition_penalty = 1}), 1);
  EXPECT_EQ(greedy_choice(logits, {}, {.repetition_penalty = 1, .bad_words = {{1}, {2}}}), 3);
  const SamplingOptions bias{.repetition_penalty = 1, .logit_bias = {{4, 3}, {0, 4.5F}}};
  EXPECT_EQ(greedy_choice(logits, {}, bias), 0);
  EXPECT_EQ(greedy_choice(logits, {4}, {.repetition_penalty = 2, .logit_bias = {{4, 12}}}), 1)
      << "the penalty comes after the bias";
}

TEST(Sampler, EndTokensWaitForMinNewTokens) {
  const std::vector<float> logits = {1, 5, 4, 3, -3};
  const Ids ids = {0, 0, 3};
  const Ids end_ids = {1, 2, 70000};  // a checkpoint's end id beyond its vocabulary
  Sampler sampler(5);
  for (const std::int64_t least : {0, 1, 2}) {
    const SamplingOptions options{.greedy = true, .min_new_tokens = least};
    EXPECT_EQ(sampler.sample(logits, {ids, 2, end_ids}, options, {}), least == 2 ? 3 : 1);
  }
}

TEST(Sampler, OptionsThatForbidEveryTokenAreAnError) {
  const std::vector<float> logits = {1, 5, 4};
  Sampler sampler(3);
  const Ids ids = {0, 1, 2};
  for (const bool greedy : {false, true}) {
    for (const std::int64_t top_k : {0, 2}) {
      const SamplingOptions options{.top_k = top_k, .greedy = greedy, .no_repeat_ngram_size = 1};
      EXPECT_THAT([&] { sampler.sample(logits, {.ids = ids}, options, {}); },
                  testing::ThrowsMessage<Error>(testing::HasSubstr("--no-repeat-ngram-size")));
    }
  }
}

// OpenAI's formula: logit - count * frequency_penalty - (count > 0) * presence_penalty, where the
// counts are of what was generated, without the prompt.
TEST(Sampler, PresenceAndFrequencyPenaltiesOnWhatWasGenerated) {
  const std::vector<float> logits = {0.5F, 0.4F, 0.3F, 0.2F};
  const Ids ids = {3, 0, 0, 1, 0, 1};
  const History history = {.ids = ids, .prompt = 2};  // generated: 0, 1, 0, 1
  const auto best = [&](double presence, double frequency) {
    Sampler sampler(4);
    const SamplingOptions options{.repetition_penalty = 1,
                                  .presence_penalty = presence,
                                  .frequency_penalty = frequency,
                                  .greedy = true};
    return sampler.sample(logits, history, options, {});
  };
  EXPECT_EQ(best(0, 0), 0);
  EXPECT_EQ(best(0.19, 0), 0);    // 0.31, 0.21, 0.3
  EXPECT_EQ(best(0.21, 0), 2);    // 0.29, 0.19, 0.3
  EXPECT_EQ(best(0, 0.09), 0);    // 0.32, 0.22, 0.3
  EXPECT_EQ(best(0, 0.11), 2);    // 0.28, 0.18, 0.3
  EXPECT_EQ(best(0.1, 0.06), 2);  // 0.28, 0.18, 0.3
  EXPECT_EQ(best(-0.1, 0.1), 0);  // 0.4, 0.3, 0.3
  EXPECT_EQ(best(100, 0), 2);     // of the prompt's tokens none is punished
}

TEST(Sampler, APenaltyThatOverflowsLeavesNumbers) {
  const Ids ids = {1, 2};
  Sampler sampler(3);
  SamplingOptions options{.repetition_penalty = std::numeric_limits<float>::denorm_min(),
                          .greedy = true};
  EXPECT_EQ(sampler.sample({{1.0F, -2.0F, 3.0F}}, {.ids = ids, .prompt = 2}, options, {}), 2);
  options.repetition_penalty = std::numeric_limits<float>::max();
  EXPECT_EQ(sampler.sample({{-1.0F, -2.0F, -3.0F}}, {.ids = ids, .prompt = 2}, options, {}), 0);
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
      EXPECT_THROW(sampler.sample(logits, {}, {.greedy = greedy}, {}), Error);
    }
  }
  const std::vector<float> one_left = {-infinity, 3, -infinity};
  EXPECT_EQ(sampler.sample(one_left, {}, {}, {}), 1);
}

}  // namespace
}  // namespace aira
