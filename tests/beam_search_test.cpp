// Beam search against transformers' `generate` (tests/data/beams, on the models of
// tests/data/models), and against an exhaustive search and hand-made cases without a model.
#include "run/beam_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "aira/error.h"
#include "backends.h"
#include "golden_options.h"
#include "model/model.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

const SamplingOptions kPlain{.repetition_penalty = 1};

/// Goes one token on with the logits [beams, vocab] of all running beams.
std::span<const Beam> advance(BeamSearch& search, const std::vector<float>& logits,
                              std::size_t vocab) {
  ScoreRow scratch(static_cast<std::int64_t>(vocab));
  for (std::size_t beam = 0; beam < logits.size() / vocab; ++beam) {
    search.rank(beam, std::span(logits).subspan(beam * vocab, vocab), scratch);
  }
  search.advance();
  return search.beams();
}

/// Runs the search to its end; `model` turns a beam's ids into the next token's logits.
template <typename LogitsOf>
void run(BeamSearch& search, const LogitsOf& model) {
  while (!search.done()) {
    std::vector<float> logits;
    const std::vector<Beam> before(search.beams().begin(), search.beams().end());
    for (const Beam& beam : before) {
      const std::vector<float> row = model(beam.ids);
      logits.insert(logits.end(), row.begin(), row.end());
    }
    for (const Beam& beam : advance(search, logits, logits.size() / before.size())) {
      Ids expected = before[beam.parent].ids;  // a cache that follows the beams holds the same ids
      expected.push_back(beam.ids.back());
      ASSERT_EQ(beam.ids, expected);
    }
  }
}

EarlyStopping early_stopping_of(const json& value) {
  if (value.is_string()) return EarlyStopping::kNever;
  return value.get<bool>() ? EarlyStopping::kTrue : EarlyStopping::kFalse;
}

GenerateOptions beam_options_of(const json& golden) {
  return {.sampling = options_of(golden),
          .max_new_tokens = golden["max_new_tokens"],
          .answers = golden["num_return_sequences"],
          .num_beams = golden["num_beams"],
          .length_penalty = golden["length_penalty"],
          .early_stopping = early_stopping_of(golden["early_stopping"]),
          .stop = golden.value("stop", std::vector<std::string>()),
          .eos_token_id = golden["end_ids"]};
}

/// In the goldens' vocabulary a token's text is its id.
std::string digits(std::int32_t id) { return std::to_string(id); }

GenerateOptions ending_at(GenerateOptions options, const Ids& ends) {
  options.eos_token_id = ends;
  return options;
}

class BeamGoldens : public testing::TestWithParam<const char*> {};

TEST_P(BeamGoldens, EqualTransformers) {
  const std::string data = AIRA_TEST_DATA;
  ThreadPool pool(1);
  const auto backend = test_backends().front().make(pool);
  const Model model =
      Model::load(ModelFiles::from_folder(data + "/models/" + GetParam()), *backend, DType::kF32);
  Session session(model, *backend, {.slots = 1, .rows = 64, .output_rows = 1});
  const auto logits_of = [&](const Ids& ids) {
    std::vector<Row> rows;
    for (const std::int32_t id : ids) {
      rows.push_back({id, 0, static_cast<std::int32_t>(rows.size())});
    }
    const auto logits = session.forward(rows, Ids{static_cast<std::int32_t>(ids.size()) - 1});
    return std::vector<float>(logits.begin(), logits.end());
  };
  std::ifstream file(data + "/beams/" + GetParam() + ".json");
  const json goldens = json::parse(file);
  ASSERT_GT(goldens.size(), 50U);
  for (const json& golden : goldens) {
    SCOPED_TRACE(golden.dump());
    BeamSearch search(beam_options_of(golden), golden["prompt"].get<Ids>(), digits);
    run(search, logits_of);
    const auto found = search.results();
    ASSERT_EQ(found.size(), golden["hypotheses"].size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const json& expected = golden["hypotheses"][i];
      EXPECT_EQ(found[i].token_ids, expected["ids"].get<Ids>());
      EXPECT_EQ(found[i].finish == FinishReason::kStop, expected["ended"].get<bool>());
      // Decisions are clear by 3e-4; transformers sums in float32.
      EXPECT_NEAR(*found[i].score, expected["score"].get<double>(),
                  1e-4 * std::max(1.0, std::abs(*found[i].score)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, BeamGoldens, testing::Values("a", "b", "c", "d", "e"),
                         [](const auto& target) { return std::string(target.param); });

/// Logits whose softmax is these probabilities.
std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

/// A chain over 4 tokens in which the greedy first step is not the best text's; 3 ends it.
std::vector<float> chain(const Ids& ids) {
  switch (ids.back()) {
    case 0:
      return logs({0.10, 0.50, 0.38, 0.02});
    case 1:
      return logs({0.25, 0.26, 0.24, 0.25});
    default:
      return logs({0.02, 0.03, 0.05, 0.90});
  }
}

// Wide enough, a search is exhaustive: the best of all texts of up to 4 tokens, by brute force.
TEST(BeamSearch, WideEnoughItFindsTheBestOfAll) {
  struct Text {
    Ids ids;
    double logprob = 0;
  };
  std::vector<Text> open = {{{0}, 0}};
  std::vector<Text> all;
  for (int length = 1; length <= 4; ++length) {
    std::vector<Text> longer;
    for (const Text& text : open) {
      const std::vector<float> logits = chain(text.ids);
      for (std::int32_t token = 0; token < 4; ++token) {
        Text next = text;
        next.ids.push_back(token);
        next.logprob += LogSoftmax(logits)[token];
        (token == 3 || length == 4 ? all : longer).push_back(next);
      }
    }
    open = longer;
  }
  const GenerateOptions options{.sampling = kPlain,
                                .max_new_tokens = 4,
                                .answers = 20,
                                .num_beams = 200,
                                .length_penalty = 0,
                                .early_stopping = EarlyStopping::kNever};
  std::stable_sort(all.begin(), all.end(),
                   [](const Text& a, const Text& b) { return a.logprob > b.logprob; });
  BeamSearch search(ending_at(options, Ids{3}), Ids{0});
  run(search, chain);
  const auto found = search.results();
  ASSERT_EQ(found.size(), 20U);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(*found[i].score, all[i].logprob, 1e-6);
    if (i < 3) {  // further down there are ties
      EXPECT_EQ(found[i].token_ids, Ids(all[i].ids.begin() + 1, all[i].ids.end()));
    }
  }
}

TEST(BeamSearch, TiesGoToTheEarlierBeamAndTheLowerId) {
  const auto flat = [](const Ids&) { return std::vector<float>(5, 0.25F); };
  const GenerateOptions options{
      .sampling = kPlain, .max_new_tokens = 2, .answers = 3, .num_beams = 3, .length_penalty = 1};
  BeamSearch search(options, Ids{4, 4});
  const auto steps = advance(search, flat({}), 5);
  ASSERT_EQ(steps.size(), 3U);
  for (std::int32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(steps[static_cast<std::size_t>(i)].parent, 0U);
    EXPECT_EQ(steps[static_cast<std::size_t>(i)].ids.back(), i);
  }
  advance(search, std::vector<float>(15, 1), 5);
  EXPECT_TRUE(search.done());
  std::vector<Ids> found;
  for (const Answer& answer : search.results()) {
    found.push_back(answer.token_ids);
    EXPECT_EQ(answer.finish, FinishReason::kLength);
    EXPECT_NEAR(*answer.score, -std::log(5), 1e-6);
  }
  EXPECT_EQ(found, (std::vector<Ids>{{0, 0}, {0, 1}, {0, 2}}));
}

TEST(BeamSearch, ForbiddenTokensMayLeaveFewerBeamsAndTexts) {
  const auto flat = [](const Ids&) { return std::vector<float>{1, 2, 3}; };
  GenerateOptions options{
      .sampling = kPlain, .max_new_tokens = 2, .answers = 4, .num_beams = 4, .length_penalty = 1};
  options.sampling.no_repeat_ngram_size = 1;
  BeamSearch search(options, Ids{0});
  EXPECT_EQ(advance(search, flat({}), 3).size(), 2U);
  advance(search, {1, 2, 3, 1, 2, 3}, 3);
  EXPECT_TRUE(search.done());
  ASSERT_EQ(search.results().size(), 2U);
  EXPECT_EQ(search.results()[0].token_ids, (Ids{2, 1}));
  EXPECT_EQ(search.results()[1].token_ids, (Ids{1, 2}));

  BeamSearch none(options, Ids{0, 1, 2});
  EXPECT_THAT([&] { advance(none, flat({}), 3); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("No token is left")));
  options.sampling.renormalize_logits = true;
  BeamSearch renormalized(options, Ids{0, 1, 2});
  EXPECT_THROW(advance(renormalized, flat({}), 3), Error);
  // Texts that ended before the others came to nothing are results.
  BeamSearch ended(ending_at(options, Ids{1, 1}), Ids{0});
  run(ended, flat);
  ASSERT_EQ(ended.results().size(), 2U);
  EXPECT_EQ(ended.results()[0].token_ids, (Ids{2, 1}));
  EXPECT_EQ(ended.results()[1].token_ids, (Ids{1}));
}

// With a negative length penalty a text loses by growing, so the length that counts is today's.
TEST(BeamSearch, NeverWithANegativePenaltyExpectsTheShortestText) {
  const auto model = [](const Ids& ids) {
    if (ids.back() == 3) return logs({0.60, 0.15, 0.20, 0.05});
    if (ids.back() == 0 && ids.size() == 2) return logs({0.60, 0.05, 0.30, 0.05});
    return logs({0.02, 0.04, 0.90, 0.04});
  };
  const GenerateOptions options{.sampling = kPlain,
                                .max_new_tokens = 9,
                                .answers = 2,
                                .num_beams = 2,
                                .length_penalty = -0.5,
                                .early_stopping = EarlyStopping::kNever};
  BeamSearch search(ending_at(options, Ids{2}), Ids{3});
  run(search, model);
  ASSERT_EQ(search.results().size(), 2U);
  EXPECT_EQ(search.results()[0].token_ids, Ids{2});
  EXPECT_EQ(search.results()[1].token_ids, (Ids{0, 0, 2}));
  EXPECT_NEAR(*search.results()[1].score, std::log(0.6 * 0.6 * 0.9) * std::sqrt(3), 1e-6);
}

TEST(BeamSearch, OneBeamIsGreedyAndEndsWithItsEndToken) {
  const GenerateOptions options{.sampling = kPlain, .max_new_tokens = 9, .length_penalty = 0};
  BeamSearch search(ending_at(options, Ids{3}), Ids{2});
  run(search, chain);
  ASSERT_EQ(search.results().size(), 1U);
  EXPECT_EQ(search.results()[0].token_ids, Ids{3});
  EXPECT_EQ(search.results()[0].finish, FinishReason::kStop);
  EXPECT_NEAR(*search.results()[0].score, std::log(0.9), 1e-6);
}

TEST(BeamSearch, OutputThatIsNoNumberIsAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& logits : {std::vector<float>{1, nan, 2},
                                           {nan, nan, nan},
                                           {1, infinity, 2},
                                           {-infinity, -infinity, -infinity}}) {
    BeamSearch search({.sampling = kPlain, .num_beams = 2}, Ids{0});
    EXPECT_THAT([&] { advance(search, logits, 3); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("not a number")));
  }
}

}  // namespace
}  // namespace aira
