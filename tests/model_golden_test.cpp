// Small random GPT-2 checkpoints against what transformers computes from them in float64
// (tests/data/models/README.md), and the promise that a result does not depend on what else is
// computed beside it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "backends.h"
#include "failing_backend.h"
#include "model/model.h"
#include "reference_backend.h"
#include "run/sampler.h"

namespace aira {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// Of a logit in f32, relative to the largest: 2e-6 was measured.
constexpr double kFloatError = 1e-5;
/// Rounding a weight, an input, a key or a value to half precision is off by up to 2^-11 of it;
/// what the layers make of that stays within a small multiple for these shapes.
constexpr double kHalfError = 16 * 0x1p-11;

/// The larger of the two errors; NaN, which std::max passes over, is infinite.
double larger(double worst, double error) {
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
}

struct Target {
  const TestBackend* backend;
  const char* model;

  friend void PrintTo(const Target& target, std::ostream* out) { *out << target.backend->name; }
};

std::vector<Target> targets() {
  std::vector<Target> all;
  for (const TestBackend& backend : test_backends()) {
    for (const char* model : {"a", "b", "c", "d", "e"}) all.push_back({&backend, model});
  }
  return all;
}

class ModelGoldens : public testing::TestWithParam<Target> {
 protected:
  ModelGoldens() : files_(ModelFiles::from_folder(folder())) {
    std::ifstream file(folder() + "/goldens.json");
    goldens_ = json::parse(file);
  }
  static std::string folder() {
    return std::string(AIRA_TEST_DATA) + "/models/" + GetParam().model;
  }
  void load(DType dtype, int threads = 2) {
    model_.reset();  // before the backend that holds its memory
    backend_.reset();
    pool_ = std::make_unique<ThreadPool>(threads);
    backend_ = GetParam().backend->make(*pool_);
    model_ = std::make_unique<Model>(Model::load(files_, *backend_, dtype));
  }
  Session session(std::int64_t slots = 1, std::int64_t rows = 300, std::int64_t outputs = 300) {
    return {*model_, *backend_, {.slots = slots, .rows = rows, .output_rows = outputs}};
  }
  static std::vector<Row> rows(const Ids& ids, std::int32_t slot = 0, std::int32_t from = 0) {
    std::vector<Row> all;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      all.push_back({ids[i], slot, from + static_cast<std::int32_t>(i)});
    }
    return all;
  }
  /// The largest error of any golden logit, relative to the largest logit of its position.
  double worst_error() {
    Session session = this->session();
    double worst = 0;
    for (const json& golden : goldens_["forward"]) {
      const Ids ids = golden["ids"];
      const Ids positions = golden["positions"];
      const auto logits = session.forward(rows(ids), positions);
      const auto vocab = static_cast<std::size_t>(model_->config.vocab);
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::vector<double> expected = golden["logits"][i];
        double largest = 0;
        for (const double x : expected) largest = std::max(largest, std::abs(x));
        for (std::size_t v = 0; v < vocab; ++v) {
          worst = larger(worst, std::abs(logits[i * vocab + v] - expected[v]) / largest);
        }
      }
    }
    return worst;
  }

  ModelFiles files_;
  json goldens_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
};

TEST_P(ModelGoldens, LogitsInF32) {
  load(DType::kF32);
  ASSERT_FALSE(goldens_["forward"].empty());
  const double worst = worst_error();
  RecordProperty("worst_relative_error", std::to_string(worst));
  EXPECT_LT(worst, kFloatError);
}

TEST_P(ModelGoldens, LogitsInF16) {
  load(DType::kF16);
  // Files in f16 lose nothing when keys and values stay as they are.
  const bool stored = std::string(GetParam().model) == "c" || std::string(GetParam().model) == "e";
  const bool exact = stored && !GetParam().backend->half_cache;
  EXPECT_LT(worst_error(), exact ? kFloatError : kHalfError);
}

/// The largest difference between two sets of logits at each position, relative to the largest
/// logit there.
std::vector<double> differences(const std::vector<float>& got, const std::vector<float>& expected,
                                std::size_t vocab) {
  std::vector<double> all;
  EXPECT_EQ(got.size(), expected.size());
  for (std::size_t first = 0; first < std::min(got.size(), expected.size()); first += vocab) {
    double largest = 0;
    double worst = 0;
    for (std::size_t i = first; i < first + vocab; ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
      worst = larger(worst, std::abs(static_cast<double>(got[i]) - expected[i]));
    }
    all.push_back(worst / largest);
  }
  return all;
}

TEST_P(ModelGoldens, LogitsInInt8) {
  if (!GetParam().backend->int8) GTEST_SKIP() << "no int8 weights";
  load(DType::kI8);
  Session session = this->session();
  const auto logits = [&](Session& of, const json& golden) {
    const auto result = of.forward(rows(golden["ids"]), Ids(golden["positions"]));
    return std::vector<float>(result.begin(), result.end());
  };
  const bool halves = GetParam().backend->rounds_inputs;
  const auto expected = [&](float nudge, const json& golden) {
    ReferenceBackend reference(nudge, !halves);
    const Model model = Model::load(files_, reference, DType::kI8);
    Session whole(model, reference, {.rows = 300, .output_rows = 300});
    return logits(whole, golden);
  };
  // Both quantise alike, except where a difference in float's last bits rounds an input to the
  // neighbouring step. Three in four positions see no such step; the reference shows how far they
  // move the others. Inputs in f16 have no such steps.
  const auto vocab = static_cast<std::size_t>(model_->config.vocab);
  std::size_t positions = 0;
  std::size_t as_in_float = 0;
  for (const json& golden : goldens_["forward"]) {
    const std::vector<float> exact = expected(0, golden);
    double worst = 0;
    for (const double error : differences(logits(session, golden), exact, vocab)) {
      ++positions;
      if (error < kFloatError) ++as_in_float;
      worst = std::max(worst, error);
    }
    if (worst < kFloatError) continue;
    if (halves) {
      EXPECT_LT(worst, kHalfError);
      continue;
    }
    double step = 0;
    for (const double moved : differences(expected(0x1p-20F, golden), exact, vocab)) {
      step = std::max(step, moved);
    }
    EXPECT_LT(worst, 2 * step);
  }
  RecordProperty("as_in_float", std::to_string(as_in_float) + "/" + std::to_string(positions));
  EXPECT_TRUE(halves || 4 * as_in_float >= 3 * positions);
}

TEST_P(ModelGoldens, GreedyIds) {
  load(DType::kF32);
  Session session = this->session();
  Sampler sampler(model_->config.vocab);
  ASSERT_FALSE(goldens_["greedy"].empty());
  for (std::size_t i = 0; i < goldens_["greedy"].size(); ++i) {
    if (!GetParam().backend->takes(i)) continue;
    const json& golden = goldens_["greedy"][i];
    Ids history = golden["prompt"];
    const Ids expected = golden["ids"];
    const SamplingOptions options{.repetition_penalty = golden["repetition_penalty"],
                                  .greedy = true};
    auto logits =
        session.forward(rows(history), Ids{static_cast<std::int32_t>(history.size()) - 1});
    Ids generated;
    while (true) {
      generated.push_back(sampler.sample(logits, {.ids = history}, options, {}));
      if (generated.size() == expected.size()) break;
      history.push_back(generated.back());
      logits = session.forward(
          rows({history.back()}, 0, static_cast<std::int32_t>(history.size()) - 1), Ids{0});
    }
    EXPECT_EQ(generated, expected);
  }
}

TEST_P(ModelGoldens, Scores) {
  load(DType::kF32);
  Session session = this->session();
  ASSERT_FALSE(goldens_["score"].empty());
  for (const json& golden : goldens_["score"]) {
    Ids ids = golden["context"];
    const Ids continuation = golden["continuation"];
    const std::vector<double> expected = golden["logprobs"];
    Ids wanted;
    for (const std::int32_t id : continuation) {
      wanted.push_back(static_cast<std::int32_t>(ids.size()) - 1);
      ids.push_back(id);
    }
    ids.pop_back();
    const auto logits = session.forward(rows(ids), wanted);
    const auto vocab = static_cast<std::size_t>(model_->config.vocab);
    for (std::size_t i = 0; i < continuation.size(); ++i) {
      EXPECT_NEAR(LogSoftmax(logits.subspan(i * vocab, vocab))[continuation[i]], expected[i], 1e-3);
    }
  }
}

/// Logits of all positions as they come when the sequence is alone and goes in `count` rows at a
/// time.
std::vector<float> alone(Session& session, std::span<const Row> rows, std::size_t count) {
  std::vector<float> all;
  for (; !rows.empty(); rows = rows.subspan(count)) {
    Ids wanted(count);
    for (std::size_t i = 0; i < count; ++i) wanted[i] = static_cast<std::int32_t>(i);
    const auto logits = session.forward(rows.first(count), wanted);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST_P(ModelGoldens, SameBitsHoweverItIsBatched) {
  // Backends that share the long cases take one model each.
  const TestBackend& backend = *GetParam().backend;
  if (backend.shares > 1 && backend.share % 5 != GetParam().model[0] - 'a') {
    GTEST_SKIP() << "another order of execution takes this model";
  }
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
    if (dtype == DType::kI8 && !backend.int8) continue;
    std::vector<float> first;
    for (const int threads : {1, 3}) {
      if (threads > 1 && !backend.threads) continue;
      load(dtype, threads);
      const auto vocab = static_cast<std::size_t>(model_->config.vocab);
      const auto context = static_cast<std::int32_t>(model_->config.context);
      Ids ids;
      for (std::int32_t i = 0; i < context; ++i) {
        ids.push_back(static_cast<std::int32_t>((i * 37 + 11) % model_->config.vocab));
      }
      Session single = session(1);
      const std::vector<float> expected =
          alone(single, rows(ids), backend.same_bits_alone ? ids.size() : 1);
      if (first.empty()) first = expected;
      EXPECT_EQ(first, expected) << threads << " threads";
      const double tolerance = dtype == DType::kF32 && !backend.same_bits_in_f32 ? 1e-4 : 0;

      // The same sequence token by token in slot 2, beside other sequences that grow in steps of 3
      // and of 1 in slots 0 and 1.
      Session batched = session(3, context + 8, 1);
      const std::int32_t steps = backend.shares > 1 ? std::min(context, 12) : context;
      for (std::int32_t p = 0; p < steps; ++p) {
        std::vector<Row> step;
        for (std::int32_t q = 3 * p; q < std::min(3 * p + 3, context); ++q) {
          step.push_back({ids[static_cast<std::size_t>(context - 1 - q)], 0, q});
        }
        step.push_back({ids[static_cast<std::size_t>((p * 7) % context)], 1, p});
        step.push_back({ids[static_cast<std::size_t>(p)], 2, p});
        const auto logits = batched.forward(step, Ids{static_cast<std::int32_t>(step.size()) - 1});
        const auto row = std::span(expected).subspan(static_cast<std::size_t>(p) * vocab, vocab);
        double largest = 0;
        for (const float x : row) largest = std::max(largest, std::abs(static_cast<double>(x)));
        for (std::size_t v = 0; v < vocab; ++v) {
          ASSERT_LE(std::abs(static_cast<double>(logits[v]) - row[v]), tolerance * largest)
              << "position " << p << " of " << context << ", " << threads << " threads";
        }
      }
    }
  }
}

TEST_P(ModelGoldens, AStepThatFailsLeavesNoTrace) {
  // Decode steps of one size run directly, are recorded and are replayed, where the backend does
  // that; each fails first, at another operation, and then gives what it gives undisturbed.
  ThreadPool pool(2);
  FailingBackend backend(GetParam().backend->make(pool));
  const Model model = Model::load(files_, backend, DType::kF32);
  Session undisturbed(model, backend, {.rows = 8});
  Session session(model, backend, {.rows = 8});
  const Ids ids = {3, 1, 4, 1, 5, 9};
  for (std::int32_t p = 0; p < static_cast<std::int32_t>(ids.size()); ++p) {
    const std::vector<Row> row = rows({ids[static_cast<std::size_t>(p)]}, 0, p);
    const auto logits = undisturbed.forward(row, Ids{0});
    const std::vector<float> expected(logits.begin(), logits.end());
    backend.fail_at(p % 5);  // even one layer has five linears
    EXPECT_THROW(session.forward(row, Ids{0}), Error);
    const auto again = session.forward(row, Ids{0});
    EXPECT_EQ(std::vector<float>(again.begin(), again.end()), expected) << "position " << p;
  }
}

INSTANTIATE_TEST_SUITE_P(Every, ModelGoldens, testing::ValuesIn(targets()), [](const auto& target) {
  return target.param.backend->name + "_" + target.param.model;
});

}  // namespace
}  // namespace aira
