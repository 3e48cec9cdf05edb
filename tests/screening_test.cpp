// Backend::greatest on the CPU: the bounds hold for any numbers, what matters has the bits of
// Backend::linear, and what cannot be bounded is computed as a whole.
#include "cpu/screening.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <list>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "aira/error.h"
#include "cpu/cpu_backend.h"

namespace aira {
namespace {

using Floats = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t kMostRows = 33;

/// Every table of this machine, with screens for any number of rows.
const std::list<cpu::Kernels>& tables() {
  static const std::list<cpu::Kernels> all = [] {
    std::list<cpu::Kernels> list;
    for (const cpu::Kernels* kernels : cpu::available_kernels()) {
      list.push_back(*kernels);
      list.back().screened_rows = {.f32 = kMostRows, .f16 = kMostRows};
    }
    return list;
  }();
  return all;
}

Floats random(std::int64_t count, unsigned seed, float scale = 1) {
  std::mt19937_64 source(seed);
  std::normal_distribution<float> normal(0.05F, 1);
  Floats numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = normal(source) * scale;
  return numbers;
}

/// A matrix with its screen, and both ways through it.
class Head {
 public:
  Head(const Floats& weights, std::int64_t in, std::int64_t out, DType dtype,
       const cpu::Kernels& kernels, int threads = 2)
      : backend_(make_cpu_backend(threads, kernels, 1)) {
    const auto kept = std::make_shared<Floats>(weights);
    weights_ =
        backend_->load_matrix({.data = {kept, reinterpret_cast<const std::byte*>(kept->data())},
                               .dtype = DType::kF32,
                               .in = in,
                               .out = out,
                               .out_major = true},
                              dtype);
    screen_ = backend_->make_screen(weights_);
  }
  Floats dense(Floats x) const {
    Floats out(out_size(x), 7);
    backend_->linear(view(x, weights_.in), weights_, {}, view(out, weights_.out));
    return out;
  }
  Floats greatest(Floats x, const std::vector<Shortlist>& lists) const {
    Floats out(out_size(x), 7);
    backend_->greatest(view(x, weights_.in), weights_, screen_, lists, view(out, weights_.out));
    return out;
  }
  const Matrix& screen() const { return screen_; }

 private:
  std::size_t out_size(const Floats& x) const {
    return x.size() / static_cast<std::size_t>(weights_.in) *
           static_cast<std::size_t>(weights_.out);
  }
  static Tensor view(Floats& numbers, std::int64_t cols) {
    return {numbers.data(), static_cast<std::int64_t>(numbers.size()) / cols, cols};
  }

  std::unique_ptr<Backend> backend_;
  Matrix weights_;
  Matrix screen_;
};

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

/// What a repetition penalty makes of some tokens' scores, and a bias of another's.
struct Penalty {
  float factor = 1;
  std::vector<std::size_t> tokens = {};
  std::size_t forbidden = 0;  // 0: none

  void operator()(std::span<float> scores) const {
    for (const std::size_t token : tokens) {
      if (token >= scores.size()) continue;
      float& score = scores[token];
      score = score < 0 ? score * factor : score / factor;
    }
    if (forbidden > 0 && forbidden < scores.size()) scores[forbidden] = -kInfinity;
  }
};

/// Checks one row of `greatest` against the same row of linear's; returns how many logits it has.
std::int64_t expect_greatest(std::span<const float> got, std::span<const float> dense,
                             std::int64_t k, const Penalty& penalty) {
  Floats scores(dense.begin(), dense.end());
  penalty(scores);
  Floats order = scores;
  std::nth_element(order.begin(), order.begin() + k - 1, order.end(), std::greater<>());
  const float least = order[static_cast<std::size_t>(k - 1)];
  std::int64_t there = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == -kInfinity && scores[i] < least) continue;
    ++there;
    EXPECT_EQ(std::memcmp(&got[i], &dense[i], 4), 0)
        << "output " << i << ": " << got[i] << ", not " << dense[i];
  }
  return there;
}

/// Matrices [out, in] that are hard to bound, with a name for each.
std::vector<std::pair<std::string, Floats>> hard_weights(std::int64_t in, std::int64_t out) {
  std::vector<std::pair<std::string, Floats>> all;
  const auto add = [&](const std::string& name, const auto& change, float scale = 1) {
    Floats w = random(in * out, 17, scale);
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t k = 0; k < in; ++k) change(w[static_cast<std::size_t>(o * in + k)], o, k);
    }
    all.emplace_back(name, std::move(w));
  };
  using I = std::int64_t;
  add("normal", [](float&, I, I) {});
  add(
      "small", [](float&, I, I) {}, 1e-3F);
  add("rows of all sizes",
      [](float& w, I o, I) { w *= std::ldexp(1.0F, static_cast<int>(o % 25) - 12); });
  add("a giant column", [](float& w, I, I k) { w *= k == 3 ? 1000 : 1; });
  add("a giant weight", [](float& w, I o, I k) { w *= o == 2 && k == 1 ? 5000 : 1; });
  add("equal rows", [&](float& w, I, I k) { w = static_cast<float>(k % 7) - 2.7F; });
  add("zero rows", [](float& w, I o, I) { w *= o % 3 == 0 ? 0.0F : 1.0F; });
  add("zero", [](float& w, I, I) { w = 0; });
  add("denormal", [](float& w, I, I) { w *= 0x1p-130F; });
  add("almost denormal", [](float& w, I, I) { w *= 0x1p-101F; });
  add("the last input alone", [&](float& w, I, I k) { w = k == in - 1 ? 127 : 0; });
  add("the worst to round", [](float& w, I o, I k) {
    w = k % 64 == 0 ? 127 : static_cast<float>((k * 29 + o) % 127) + 0.4999F;
  });
  return all;
}

/// Inputs [in] that are.
std::vector<Floats> hard_inputs(std::int64_t in) {
  const Floats normal = random(in, 23);
  std::vector<Floats> all = {normal, Floats(normal.size(), 0), Floats(normal.size(), 1)};
  const auto add = [&](const auto& change) {
    all.push_back(normal);
    for (std::size_t k = 0; k < normal.size(); ++k) change(all.back()[k], k);
  };
  add([](float& x, std::size_t k) { x *= k == 3 ? 200 : 1; });
  add([](float& x, std::size_t) { x *= 0x1p-130F; });
  // The first number is all that one part in int8 sees, the second all that another does.
  add([&](float& x, std::size_t k) {
    x = k == 0 ? 127 : k == 1 ? 0.45F : k + 1 == normal.size() ? 0.0017F : 0;
  });
  add([](float& x, std::size_t) { x *= 1e15F; });
  add([](float& x, std::size_t k) { x = k % 64 == 1 ? 127 : 0.4999F; });
  add([](float& x, std::size_t k) { x *= std::ldexp(1.0F, static_cast<int>(k % 30) - 20); });
  return all;
}

TEST(Screening, TheBoundsHold) {
  for (const cpu::Kernels& kernels : tables()) {
    for (const std::int64_t in : {1, 63, 130, 768}) {
      const std::int64_t out = 67;
      for (const auto& [name, weights] : hard_weights(in, out)) {
        for (const DType dtype : {DType::kF32, DType::kF16}) {
          const Head head(weights, in, out, dtype, kernels, 1);
          for (const Floats& x : hard_inputs(in)) {
            std::vector<Floats> bounds;  // lower, upper
            const Shortlist list{.greatest = 1, .process = [&](std::span<float> scores, int) {
                                   bounds.emplace_back(scores.begin(), scores.end());
                                 }};
            head.greatest(x, {list});
            ASSERT_EQ(bounds.size(), 2U) << name;
            const Floats dense = head.dense(x);
            for (std::size_t i = 0; i < dense.size(); ++i) {
              ASSERT_LE(bounds[0][i], dense[i]) << kernels.name << " " << name << " in " << in;
              ASSERT_GE(bounds[1][i], dense[i]) << kernels.name << " " << name << " in " << in;
            }
          }
        }
      }
    }
  }
}

TEST(Screening, TheBoundsAreNarrow) {
  // A few hundredths of the logits' own spread: else nothing would be saved.
  const std::int64_t in = 768;
  const Head head(random(in * 500, 1, 0.1F), in, 500, DType::kF16, tables().front());
  std::vector<Floats> bounds;
  const Floats x = random(in, 2);
  head.greatest(x, {{.greatest = 1, .process = [&](std::span<float> scores, int) {
                       bounds.emplace_back(scores.begin(), scores.end());
                     }}});
  const double spread = 0.1 * std::sqrt(static_cast<double>(in));
  for (std::size_t i = 0; i < 500; ++i) EXPECT_LT(bounds[1][i] - bounds[0][i], 0.45 * spread);
}

class ScreeningOf : public testing::TestWithParam<std::tuple<DType, std::int64_t>> {};

TEST_P(ScreeningOf, HasWhatLinearHas) {
  const auto [dtype, in] = GetParam();
  for (const cpu::Kernels& kernels : tables()) {
    for (const std::int64_t out : {33, 1003, 2048}) {
      // Every fifth row is the one before it again: ties.
      Floats weights = random(in * out, 3);
      for (std::int64_t o = 1; o < out; o += 5) {
        std::copy_n(weights.begin() + (o - 1) * in, in, weights.begin() + o * in);
      }
      const Head head(weights, in, out, dtype, kernels, 3);
      const Floats all = random(in * kMostRows, 4);
      for (const std::int64_t rows : {1, 2, 5, 16, 33}) {
        const Floats x(all.begin(), all.begin() + rows * in);
        const Floats dense = head.dense(x);
        std::vector<Penalty> penalties;
        std::vector<Shortlist> lists;
        for (std::int64_t t = 0; t < rows; ++t) {
          Penalty penalty{.factor = t % 3 == 0 ? 1.0F : t % 3 == 1 ? 1.3F : 0.7F};
          for (std::size_t i = 0; i < 200; ++i)
            penalty.tokens.push_back(i * 7 + static_cast<std::size_t>(t));
          if (t % 2 == 1) {  // the best token is forbidden
            const auto row = dense.begin() + t * out;
            penalty.forbidden = static_cast<std::size_t>(std::max_element(row, row + out) - row);
          }
          penalties.push_back(penalty);
          lists.push_back(
              {.greatest = std::array<std::int64_t, 3>{1, 30, 32}[t % 3],
               .process = [penalty](std::span<float> scores, int) { penalty(scores); }});
        }
        const Floats got = head.greatest(x, lists);
        for (std::int64_t t = 0; t < rows; ++t) {
          const auto one = [&](const Floats& y) {
            return std::span(y).subspan(static_cast<std::size_t>(t * out),
                                        static_cast<std::size_t>(out));
          };
          SCOPED_TRACE(testing::Message()
                       << kernels.name << " " << out << " row " << t << "/" << rows);
          expect_greatest(one(got), one(dense), lists[static_cast<std::size_t>(t)].greatest,
                          penalties[static_cast<std::size_t>(t)]);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ScreeningOf,
                         testing::Combine(testing::Values(DType::kF32, DType::kF16),
                                          testing::Values(1, 96, 130)),
                         [](const auto& param) {
                           return std::string(name_of(std::get<0>(param.param))) + "_" +
                                  std::to_string(std::get<1>(param.param));
                         });

TEST(Screening, LeavesOutMost) {
  const std::int64_t in = 256;
  const std::int64_t out = 20011;
  for (const cpu::Kernels& kernels : tables()) {
    const Head head(random(in * out, 5), in, out, DType::kF16, kernels);
    const Floats x = random(in, 6);
    const Floats dense = head.dense(x);
    for (const std::int64_t k : {1, 30, 64}) {
      const Floats got = head.greatest(x, {{.greatest = k}});
      EXPECT_LT(expect_greatest(got, dense, k, {}), out / 3) << kernels.name << " " << k;
    }
  }
}

TEST(Screening, SameBitsFromEveryBatchAndTeam) {
  const std::int64_t in = 130;
  const std::int64_t out = 3001;
  const Floats weights = random(in * out, 7);
  const Floats x = random(in * kMostRows, 8);
  for (const cpu::Kernels& kernels : tables()) {
    const Head one(weights, in, out, DType::kF32, kernels, 1);
    const Head three(weights, in, out, DType::kF32, kernels, 3);
    const std::vector<Shortlist> lists(kMostRows, {.greatest = 5});
    const Floats together = three.greatest(x, lists);
    Floats alone;
    for (std::int64_t t = 0; t < kMostRows; ++t) {
      const Floats row = one.greatest({x.begin() + t * in, x.begin() + (t + 1) * in}, {lists[0]});
      alone.insert(alone.end(), row.begin(), row.end());
    }
    EXPECT_TRUE(same_bits(together, alone)) << kernels.name;
  }
}

TEST(Screening, WhatCannotBeBoundedIsComputedAsAWhole) {
  const std::int64_t in = 96;
  const std::int64_t out = 1001;
  const Floats weights = random(in * out, 9);
  const Floats good = random(in, 10);
  const auto expect_dense = [&](const Floats& w, const Floats& x, const Shortlist& list,
                                const std::string& why) {
    for (const cpu::Kernels& kernels : tables()) {
      const Head head(w, in, out, DType::kF32, kernels);
      EXPECT_TRUE(same_bits(head.greatest(x, {list}), head.dense(x))) << kernels.name << " " << why;
    }
  };
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), 3e38F}) {
    Floats x = good;
    x[70] = bad;
    expect_dense(weights, x, {.greatest = 3}, "input " + std::to_string(bad));
    Floats w = weights;
    w[500 * 96 + 7] = bad;
    expect_dense(w, good, {.greatest = 3}, "weight " + std::to_string(bad));
  }
  expect_dense(weights, good, {.greatest = 0}, "all are wanted");
  expect_dense(weights, good, {.greatest = out}, "as many as there are");
  expect_dense(weights, good, {.greatest = out + 5}, "more than there are");
  const auto fails = [](std::span<float>, int) { throw UsageError("no such token"); };
  expect_dense(weights, good, {.greatest = 3, .process = fails}, "options that fit no token");
  const auto forbids = [](std::span<float> scores, int) {
    std::fill(scores.begin() + 2, scores.end(), -kInfinity);
  };
  expect_dense(weights, good, {.greatest = 3, .process = forbids}, "too few are left");
}

TEST(Screening, RowsThatWantAllAmongOthers) {
  const std::int64_t in = 96;
  const std::int64_t out = 5003;
  const Head head(random(in * out, 11), in, out, DType::kF16, tables().front());
  Floats x = random(in * 5, 12);
  x[static_cast<std::size_t>(3 * in)] = kInfinity;
  const Floats dense = head.dense(x);
  std::vector<Shortlist> lists(5, {.greatest = 2});
  lists[1].greatest = 0;
  const Floats got = head.greatest(x, lists);
  for (const std::size_t t : {1U, 3U}) {
    EXPECT_EQ(std::memcmp(got.data() + t * out, dense.data() + t * out, out * 4), 0) << t;
  }
  EXPECT_LT(expect_greatest(std::span(got).first(out), std::span(dense).first(out), 2, {}),
            out / 2);
}

TEST(Screening, OnlyOfLargeMatricesInFloats) {
  const cpu::Kernels& kernels = tables().front();
  const auto backend = make_cpu_backend(1, kernels, 100);
  EXPECT_EQ(backend->screen_bytes(64, 99, DType::kF32), 0);
  EXPECT_EQ(backend->screen_bytes(64, 100, DType::kI8), 0);
  EXPECT_EQ(backend->screen_bytes(64, 100, DType::kF16), cpu::screen_bytes(64, 100));
  cpu::Kernels slow = kernels;
  slow.screened_rows = {.f32 = 9};
  EXPECT_EQ(make_cpu_backend(1, slow, 100)->screen_bytes(64, 100, DType::kF16), 0);
  Floats small(64 * 99);
  EXPECT_EQ(
      make_cpu_backend(1, kernels, 100)
          ->make_screen(backend->load_matrix(
              {.data = {std::shared_ptr<void>(), reinterpret_cast<const std::byte*>(small.data())},
               .dtype = DType::kF32,
               .in = 64,
               .out = 99},
              DType::kF32))
          .data,
      nullptr);
}

TEST(Screening, TooManyRowsAreComputedAsAWhole) {
  const std::int64_t in = 64;
  const Head head(random(in * 2000, 13), in, 2000, DType::kF32, tables().front());
  const Floats x = random(in * (kMostRows + 1), 14);
  EXPECT_TRUE(same_bits(head.greatest(x, std::vector<Shortlist>(kMostRows + 1, {.greatest = 1})),
                        head.dense(x)));
}

}  // namespace
}  // namespace aira
