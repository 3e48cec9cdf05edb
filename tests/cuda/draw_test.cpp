// Tokens drawn on the device against the CPU's Sampler: the kernels alone over many logits and
// options, then whole generations whose steps are launched before the last step's tokens are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "aira/error.h"
#include "backends.h"
#include "model/model.h"
#include "run/sampler.h"
#include "run/scores.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Drawing : public testing::TestWithParam<const TestBackend*> {
 protected:
  Drawing() : backend_(GetParam()->make(pool_)), sampler_(backend_->device_sampler()) {}

  ThreadPool pool_{1};
  std::unique_ptr<Backend> backend_;
  DeviceSampler* sampler_;
  std::mt19937_64 random_{11};
};

/// Logits of different kinds; ids of `history` are among them.
std::vector<float> logits_of(const std::string& kind, std::int64_t vocab, std::mt19937_64& random) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(static_cast<std::size_t>(vocab));
  for (float& x : logits) {
    x = normal(random);
    if (kind == "ties") x = std::round(x);  // a few values, both zeros among them
    if (kind == "equal") x = -2.5F;
    if (kind == "mostly -inf" && random() % 8 != 0) x = -kInfinity;
    if (kind == "-inf") x = -kInfinity;
    if (kind == "nan") x = std::nanf("");
    if (kind == "huge") x *= 1e37F;
  }
  const std::size_t any = random() % logits.size();
  if (kind == "one nan") logits[any] = std::nanf("");
  if (kind == "one inf") logits[any] = kInfinity;
  if (kind == "mostly -inf") logits[any] = 1;
  if (kind == "flat with a peak") {
    std::fill(logits.begin(), logits.end(), 0.0F);
    logits[any] = 0.5F;
  }
  return logits;
}

std::vector<SamplingOptions> all_options() {
  std::vector<SamplingOptions> all;
  for (const double penalty : {1.0, 1.3, 0.6}) {
    all.push_back({.repetition_penalty = penalty, .greedy = true});
    for (const std::int64_t top_k : {1, 2, 30, 64}) {
      for (const double top_p : {0.05, 0.3, 0.9, 1.0}) {
        all.push_back({.temperature = top_k == 2 ? 0.2 : 1.7,
                       .top_k = top_k,
                       .top_p = top_p,
                       .repetition_penalty = penalty});
      }
    }
  }
  return all;
}

TEST_P(Drawing, TheSamplersTokens) {
  const std::vector<SamplingOptions> options = all_options();
  const auto slots = static_cast<std::int64_t>(options.size());
  std::size_t number = 0;
  for (const std::int64_t vocab : {1, 2, 31, 33, 67, 2048, 2049, 50259}) {
    for (const char* kind :
         {"normal", "ties", "equal", "mostly -inf", "flat with a peak", "huge"}) {
      if (!GetParam()->takes(number++)) continue;
      SCOPED_TRACE(testing::Message() << kind << ", " << vocab << " ids");
      // One slot for each of the options, with histories of 1, 2, 3... ids, some of them twice; the
      // pages lie in no order.
      constexpr std::int64_t kWidth = 3;
      std::vector<std::int32_t> pages(static_cast<std::size_t>(slots * kWidth));
      for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::int32_t>(i);
      std::shuffle(pages.begin(), pages.end(), random_);
      const KvCache cache = backend_->make_cache({.layers = 1,
                                                  .pages = slots * kWidth,
                                                  .heads = 1,
                                                  .head_size = 1,
                                                  .context = kWidth * kPagePositions,
                                                  .dtype = DType::kF32,
                                                  .data = {}});
      std::vector<Ids> history(options.size());
      std::vector<Row> rows;
      Ids wanted;
      std::vector<DeviceDraw> draws;
      std::vector<DrawPlace> places;
      std::vector<float> logits;
      for (std::size_t s = 0; s < options.size(); ++s) {
        const std::vector<float> mine = logits_of(kind, vocab, random_);
        logits.insert(logits.end(), mine.begin(), mine.end());
        const auto best =
            static_cast<std::int32_t>(std::max_element(mine.begin(), mine.end()) - mine.begin());
        for (std::size_t p = 0; p <= s; ++p) {
          const auto id = p % 3 == 0 ? best : static_cast<std::int32_t>(random_() % mine.size());
          history[s].push_back(id);
          rows.push_back({id, static_cast<std::int32_t>(s), static_cast<std::int32_t>(p)});
        }
        wanted.push_back(static_cast<std::int32_t>(rows.size()) - 1);
        places.push_back({random_(), static_cast<std::uint32_t>(s), 7});
        draws.push_back(device_draw(options[s], uniform(places.back())).value());
        draws.back().log_probability = s % 3 != 0;
        ASSERT_TRUE(sampler_->can_draw(draws.back(), vocab));
      }
      const auto count = static_cast<std::int64_t>(rows.size());
      backend_->reserve({.rows = count,
                         .output_rows = slots,
                         .slots = slots,
                         .context = kWidth * kPagePositions,
                         .heads = 1,
                         .head_size = 1,
                         .vocab = vocab});
      const std::vector<float> ones(static_cast<std::size_t>(4 * count), 1.0F);
      const Buffer memory = backend_->alloc(count * 4 * 4, ones.data());
      auto* at = static_cast<float*>(memory.get());
      const Buffer scores =
          backend_->alloc(static_cast<std::int64_t>(logits.size()) * 4, logits.data());
      sampler_->prepare(draws);
      backend_->begin(rows, wanted, {pages, kWidth});
      backend_->attention({at, count, 3}, cache, 0, 1, {at + 3 * count, count, 1});
      sampler_->draw({static_cast<float*>(scores.get()), slots, vocab});
      backend_->end();
      const auto drawn = sampler_->drawn();
      Sampler sampler(vocab);
      for (std::size_t s = 0; s < options.size(); ++s) {
        const auto size = static_cast<std::size_t>(vocab);
        const auto row = std::span<const float>(logits).subspan(s * size, size);
        SCOPED_TRACE(testing::Message() << "penalty " << options[s].repetition_penalty << ", top-k "
                                        << options[s].top_k << ", top-p " << options[s].top_p
                                        << (options[s].greedy ? ", greedy" : ""));
        EXPECT_EQ(drawn[s].id, sampler.sample(row, {history[s]}, options[s], places[s]));
        if (!draws[s].log_probability) continue;
        // Two roundings of numbers as large as the logits; float sums of positive numbers.
        const double expected = LogSoftmax(row)[drawn[s].id];
        const double largest = std::abs(row[static_cast<std::size_t>(drawn[s].id)]);
        EXPECT_NEAR(drawn[s].log_probability, expected,
                    1e-5 + 2.4e-7 * (largest + std::abs(expected)));
      }
    }
  }
}

TEST_P(Drawing, SaysWhenNoLogitIsANumber) {
  const SamplingOptions options;
  const KvCache cache = backend_->make_cache({.layers = 1,
                                              .pages = 1,
                                              .heads = 1,
                                              .head_size = 1,
                                              .context = 32,
                                              .dtype = DType::kF32,
                                              .data = {}});
  const std::vector<Row> rows = {{3, 0, 0}};
  const Ids history = {3};
  const Ids wanted = {0};
  const Ids pages = {0};
  backend_->reserve({.rows = 1,
                     .output_rows = 1,
                     .slots = 1,
                     .context = 32,
                     .heads = 1,
                     .head_size = 1,
                     .vocab = 77});
  const Buffer memory = backend_->alloc(16 * 4);
  const Tensor qkv{static_cast<float*>(memory.get()), 1, 3};
  for (const char* kind : {"nan", "one nan", "one inf", "-inf", "normal"}) {
    SCOPED_TRACE(kind);
    const std::vector<float> logits = logits_of(kind, 77, random_);
    const Buffer scores = backend_->alloc(77 * 4, logits.data());
    const std::vector<DeviceDraw> draws = {device_draw(options, 0.5).value()};
    sampler_->prepare(draws);
    backend_->begin(rows, wanted, {pages, 1});
    backend_->attention(qkv, cache, 0, 1, {qkv.data + 8, 1, 1});
    sampler_->draw({static_cast<float*>(scores.get()), 1, 77});
    backend_->end();
    const std::int32_t token = sampler_->drawn()[0].id;
    Sampler sampler(77);
    if (kind == std::string("normal")) {
      EXPECT_GE(token, 0);
    } else {
      EXPECT_THROW(sampler.sample(logits, {history}, options, {}), Error);
      EXPECT_EQ(token, kNotDrawn);
    }
  }
}

TEST_P(Drawing, LeavesToTheHostWhatItCannotHold) {
  const auto draws = [&](std::int64_t top_k, std::int64_t vocab, bool greedy = false) {
    return sampler_->can_draw({.top_k = static_cast<std::int32_t>(top_k), .greedy = greedy}, vocab);
  };
  EXPECT_TRUE(draws(64, 65536));
  EXPECT_FALSE(draws(65, 100));
  EXPECT_FALSE(draws(0, 100));
  EXPECT_TRUE(draws(0, 100, true));
  EXPECT_FALSE(draws(1, 65537));
}

/// Sequences that start from one prompt, sharing its pages, and go on to the end of the context,
/// each with options of its own.
class Generation {
 public:
  static constexpr std::size_t kSequences = 3;

  Generation(const Model& model, Backend& backend)
      : session_(model, backend,
                 {.slots = kSequences, .pages = 40, .rows = 64, .output_rows = kSequences}),
        width_((model.config.context + kPagePositions - 1) / kPagePositions),
        table_(kSequences * static_cast<std::size_t>(width_)) {
    for (std::int32_t& page : table_) page = next_page_--;
  }

  const Session& session() const { return session_; }
  static DeviceDraw draw(std::size_t sequence, std::size_t index) {
    return device_draw(kOptions[sequence], uniform(place(sequence, index))).value();
  }
  static DrawPlace place(std::size_t sequence, std::size_t index) {
    return {99, static_cast<std::uint32_t>(sequence), static_cast<std::uint32_t>(index)};
  }

  /// The prompt goes through slot 0, without its last token; then the others copy or share pages.
  void start(const Ids& prompt) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i + 1 < prompt.size(); ++i) {
      rows.push_back({prompt[i], 0, static_cast<std::int32_t>(i)});
    }
    session_.forward(rows, {}, {table_, width_});
    const std::size_t full = rows.size() / kPagePositions;
    std::vector<PageCopy> copies;
    for (std::size_t s = 1; s < kSequences; ++s) {
      std::int32_t* line = table_.data() + s * static_cast<std::size_t>(width_);
      std::copy_n(table_.data(), full, line);
      copies.push_back({table_[full], line[full]});
    }
    session_.copy_pages(copies);
  }
  /// One row for each sequence that is not at its end.
  std::vector<Row> rows(const Ids& tokens, std::size_t position) const {
    std::vector<Row> all;
    for (std::size_t s = 0; s < kSequences; ++s) {
      all.push_back({tokens[s], static_cast<std::int32_t>(s), static_cast<std::int32_t>(position)});
    }
    return all;
  }
  PageTable table() const { return {table_, width_}; }

  Session session_;
  static const SamplingOptions kOptions[kSequences];

 private:
  std::int64_t width_;
  std::int32_t next_page_ = 39;
  std::vector<std::int32_t> table_;
};

const SamplingOptions Generation::kOptions[] = {
    {.repetition_penalty = 1.2, .greedy = true},
    {.temperature = 0.9, .top_k = 40, .top_p = 0.95, .repetition_penalty = 1.1},
    {.temperature = 2.5, .top_k = 64, .top_p = 1, .repetition_penalty = 1}};

TEST_P(Drawing, StepsLaunchedAheadGiveTheSamplersTokens) {
  const auto number = static_cast<std::size_t>(GetParam()->share);
  // Models with contexts of 67 (three pages), 33 and 70.
  const std::string name(1, "abc"[number % 3]);
  const DType dtype = number % 2 == 0 ? DType::kF16 : DType::kF32;
  SCOPED_TRACE(name);
  const Model model = Model::load(
      ModelFiles::from_folder(std::string(AIRA_TEST_DATA) + "/models/" + name), *backend_, dtype);
  const auto context = static_cast<std::size_t>(model.config.context);
  Ids prompt;
  const std::size_t length = std::min<std::size_t>(context - 6, number < 4 ? 36 : 9);
  for (std::size_t i = 0; i < length; ++i) {
    prompt.push_back(
        static_cast<std::int32_t>((i * i * 7 + 3) % static_cast<std::size_t>(model.config.vocab)));
  }
  const Ids wanted = {0, 1, 2};
  // Two orders of execution go to the end of the context; the others a few steps.
  const std::size_t steps = number < 2 ? context - length + 1 : 8;
  const Ids lasts(Generation::kSequences, prompt.back());

  // On the host: logits are read, and sampled with the whole history.
  std::vector<Ids> expected(Generation::kSequences);
  {
    Generation generation(model, *backend_);
    generation.start(prompt);
    Sampler sampler(model.config.vocab);
    std::vector<Ids> history(Generation::kSequences, prompt);
    Ids tokens = lasts;
    for (std::size_t i = 0; i < steps; ++i) {
      const auto logits = generation.session_.forward(generation.rows(tokens, length - 1 + i),
                                                      wanted, generation.table());
      const auto vocab = static_cast<std::size_t>(model.config.vocab);
      for (std::size_t s = 0; s < Generation::kSequences; ++s) {
        tokens[s] = sampler.sample(logits.subspan(s * vocab, vocab), {history[s]},
                                   Generation::kOptions[s], Generation::place(s, i));
        history[s].push_back(tokens[s]);
        expected[s].push_back(tokens[s]);
      }
    }
  }

  Generation generation(model, *backend_);
  generation.start(prompt);
  std::vector<Ids> got(Generation::kSequences);
  const auto collect = [&] {
    const auto tokens = generation.session_.drawn();
    for (std::size_t s = 0; s < Generation::kSequences; ++s) got[s].push_back(tokens[s].id);
  };
  for (std::size_t i = 0; i < steps; ++i) {
    std::vector<DeviceDraw> draws;
    for (std::size_t s = 0; s < Generation::kSequences; ++s) draws.push_back(generation.draw(s, i));
    const Ids tokens = i == 0 ? lasts : Ids(Generation::kSequences, kDrawnToken);
    const std::vector<Row> rows = generation.rows(tokens, length - 1 + i);
    generation.session_.launch(rows, wanted, generation.table(), draws);
    if (i > 0) collect();
  }
  collect();
  EXPECT_EQ(got, expected);
  // The sequences are no copies of each other.
  EXPECT_NE(got[0], got[2]);
}

std::vector<const TestBackend*> backends() {
  std::vector<const TestBackend*> all;
  for (const TestBackend& backend : test_backends()) all.push_back(&backend);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Every, Drawing, testing::ValuesIn(backends()),
                         [](const auto& backend) { return backend.param->name; });

}  // namespace
}  // namespace aira
