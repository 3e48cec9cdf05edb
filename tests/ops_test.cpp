// Every operation of every backend this machine can run, over the case table, against the
// double-precision reference. Outputs are poisoned before and guarded on both sides.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "aira/error.h"
#include "backends.h"
#include "base/half.h"
#include "op_cases.h"
#include "reference.h"

namespace aira {
namespace {

using reference::Numbers;
using reference::Result;

struct Target {
  const TestBackend* backend;
  int threads;

  friend void PrintTo(const Target& target, std::ostream* out) { *out << target.backend->name; }
};

std::vector<Target> targets() {
  std::vector<Target> all;
  for (const TestBackend& backend : test_backends()) {
    for (const int threads : {1, 3}) {
      if (threads == 1 || backend.same_bits) all.push_back({&backend, threads});
    }
  }
  return all;
}

class Ops : public testing::TestWithParam<Target> {
 protected:
  Ops() : backend_(GetParam().backend->make(GetParam().threads)) {}

  /// Random floats around `center`, exactly representable in half precision when asked for.
  std::vector<float> random(std::int64_t count, double center = 0, double spread = 1,
                            bool half = false) {
    std::normal_distribution<double> normal(center, spread);
    std::vector<float> numbers(static_cast<std::size_t>(count));
    for (float& x : numbers) {
      x = static_cast<float>(normal(random_));
      if (half) x = half_to_float(float_to_half(x));
    }
    return numbers;
  }
  static Numbers doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

  static std::shared_ptr<const std::byte> bytes(const std::vector<float>& x) {
    auto copy = std::make_shared<std::vector<float>>(x);
    return {copy, reinterpret_cast<const std::byte*>(copy->data())};
  }
  Vector vector(const std::vector<float>& x) {
    return backend_->load_vector(bytes(x), DType::kF32, static_cast<std::int64_t>(x.size()));
  }
  Tensor tensor(const std::vector<float>& x, std::int64_t rows) {
    return tensor(rows, static_cast<std::int64_t>(x.size()) / rows, &x);
  }
  /// A poisoned tensor with guards around it, filled from `x` if given.
  Tensor tensor(std::int64_t rows, std::int64_t cols, const std::vector<float>* x = nullptr) {
    // A step may compute more rows than it is asked for, as far as the backend says.
    const std::int64_t count = backend_->padded_rows(rows) * cols;
    memory_.push_back(backend_->alloc((count + 2 * kGuard) * 4));
    const Tensor whole{static_cast<float*>(memory_.back().get()), 1, count + 2 * kGuard};
    backend_->write(whole, std::vector<float>(static_cast<std::size_t>(whole.cols), kPoison));
    const Tensor inside{whole.data + kGuard, rows, cols};
    if (x != nullptr) backend_->write(inside, *x);
    return inside;
  }
  void expect_near(const Tensor& tensor, const Result& expected) {
    const std::int64_t count = tensor.rows * tensor.cols;
    const std::int64_t padded = backend_->padded_rows(tensor.rows) * tensor.cols;
    ASSERT_EQ(static_cast<std::size_t>(count), expected.value.size());
    const auto all = backend_->read({tensor.data - kGuard, 1, padded + 2 * kGuard});
    for (std::int64_t i = 0; i < kGuard; ++i) {
      ASSERT_TRUE(std::isnan(all[i])) << "written " << kGuard - i << " before the output";
      ASSERT_TRUE(std::isnan(all[kGuard + padded + i])) << "written " << i << " behind the output";
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const double got = all[kGuard + i];
      ASSERT_LE(std::abs(got - expected.value[i]), expected.tolerance[i])
          << "at row " << i / tensor.cols << ", column " << i % tensor.cols << ": got " << got
          << ", expected " << expected.value[i];
    }
  }

  /// The cache's types that make a difference to the backend, with every case.
  static std::vector<std::pair<AttentionCase, DType>> attention_cases() {
    std::vector<std::pair<AttentionCase, DType>> all;
    for (std::size_t i = 0; i < kAttentionCases.size(); ++i) {
      const AttentionCase& c = kAttentionCases[i];
      if (c.heads * c.context > 5000 && !GetParam().backend->takes(i)) continue;
      all.emplace_back(c, DType::kF32);
      if (GetParam().backend->half_cache) all.emplace_back(c, DType::kF16);
    }
    return all;
  }

  static constexpr std::int64_t kGuard = 16;  // floats, so that alignment stays
  static constexpr float kPoison = std::numeric_limits<float>::quiet_NaN();
  std::unique_ptr<Backend> backend_;
  std::vector<Buffer> memory_;
  std::mt19937_64 random_{7};
};

TEST_P(Ops, Linear) {
  for (std::size_t i = 0; i < kLinearCases.size(); ++i) {
    const LinearCase& c = kLinearCases[i];
    if (c.in * c.out > 100000 && !GetParam().backend->takes(i)) continue;
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
      if (dtype == DType::kI8 && !GetParam().backend->int8) continue;
      for (const bool out_major : {false, true}) {
        SCOPED_TRACE(testing::Message() << c.rows << " x " << c.in << " -> " << c.out << " "
                                        << name_of(dtype) << (out_major ? " out-major" : ""));
        const auto x = random(c.rows * c.in);
        const auto w = random(c.in * c.out, 0.1, 0.3, dtype == DType::kF16);
        const auto bias = random(c.out, 0.5);
        const auto residual = random(c.rows * c.out, -0.5);
        std::vector<float> stored = w;
        if (out_major) {
          for (std::int64_t k = 0; k < c.in; ++k) {
            for (std::int64_t o = 0; o < c.out; ++o) stored[o * c.in + k] = w[k * c.out + o];
          }
        }
        const Matrix matrix = backend_->load_matrix({.data = bytes(stored),
                                                     .dtype = DType::kF32,
                                                     .in = c.in,
                                                     .out = c.out,
                                                     .out_major = out_major},
                                                    dtype);
        const Vector bias_vector = vector(bias);
        Epilogue epilogue{
            .bias = c.bias ? &bias_vector : nullptr, .activation = c.activation, .residual = {}};
        const Tensor input = tensor(x, c.rows);
        // A residual connection writes over what it adds to.
        const Tensor out = c.residual ? tensor(residual, c.rows) : tensor(c.rows, c.out);
        if (c.residual) epilogue.residual = out;
        backend_->linear(input, matrix, epilogue, out);
        const bool rounded = dtype == DType::kF16 && c.rows > GetParam().backend->exact_input_rows;
        const bool int8 = dtype == DType::kI8;
        expect_near(out, reference::linear(
                             {c.rows, c.in, c.out, c.activation, c.bias, c.residual,
                              rounded ? reference::kHalfUnit : 0, int8 ? (c.in + 63) / 64 : 0},
                             int8 ? reference::int8_inputs(x, c.in, 64) : doubles(x),
                             int8 ? reference::int8_weights(w, c.out, 64) : doubles(w),
                             doubles(bias), doubles(residual)));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Ops, LayerNorm) {
  for (const LayerNormCase& c : kLayerNormCases) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.width);
    const auto x = random(c.rows * c.width, 3, 2);
    const auto gain = random(c.width, 1, 0.5);
    const auto bias = random(c.width, 0.3);
    const Vector gain_vector = vector(gain);  // must live until the result is read
    const Vector bias_vector = vector(bias);
    const Tensor out = tensor(c.rows, c.width);
    backend_->layernorm(tensor(x, c.rows), gain_vector, bias_vector, 1e-5F, out);
    expect_near(out, reference::layernorm(c.rows, c.width, doubles(x), doubles(gain), doubles(bias),
                                          1e-5F));
  }
}

TEST_P(Ops, EmbedAndSelect) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
    if (dtype == DType::kI8 && !GetParam().backend->int8) continue;
    const std::int64_t vocab = 67;
    const std::int64_t width = 71;
    const auto tokens = random(vocab * width, 0, 1, true);
    Numbers stored = doubles(tokens);
    if (dtype == DType::kI8) stored = reference::int8_embeddings(tokens, width, 64);
    const auto positions = random(9 * width);
    const Matrix matrix = backend_->load_matrix(
        {.data = bytes(tokens), .dtype = DType::kF32, .in = width, .out = vocab, .out_major = true},
        dtype);
    std::vector<Row> rows;
    for (int i = 0; i < 9; ++i) rows.push_back({(i * 31) % 67, i % 2, 8 - i});
    rows[3].token = 66;
    const std::vector<std::int32_t> wanted = {0, 4, 8};
    Result embedded;
    Result selected;
    for (std::size_t t = 0; t < rows.size(); ++t) {
      for (std::int64_t c = 0; c < width; ++c) {
        const double sum = stored[rows[t].token * width + c] +
                           static_cast<double>(positions[rows[t].position * width + c]);
        embedded.value.push_back(static_cast<float>(sum));
        embedded.tolerance.push_back(0);
        if (t % 4 == 0) {
          selected.value.push_back(static_cast<float>(sum));
          selected.tolerance.push_back(0);
        }
      }
    }
    const Vector position_vector = vector(positions);
    const Tensor x = tensor(9, width);
    const Tensor some = tensor(3, width);
    backend_->begin(rows, wanted);
    backend_->embed(matrix, position_vector, x);
    backend_->select(x, some);
    backend_->end();
    expect_near(x, embedded);
    expect_near(some, selected);
  }
}

TEST_P(Ops, Attention) {
  for (const auto& [c, dtype] : attention_cases()) {
    SCOPED_TRACE(testing::Message() << name_of(dtype) << ", " << c.heads << " heads of "
                                    << c.head_size << ", context " << c.context);
    const std::int64_t width = c.heads * c.head_size;
    const auto slots = static_cast<std::int64_t>(c.sequences.size());
    const KvCache cache = backend_->make_cache({.layers = 2,
                                                .slots = slots,
                                                .context = c.context,
                                                .heads = c.heads,
                                                .head_size = c.head_size,
                                                .dtype = dtype,
                                                .data = {}});
    const float scale = 0.3F;
    std::vector<std::vector<float>> history(c.sequences.size());  // each sequence's qkv so far
    // Two steps: what is cached, then the rows that are looked at; layer 0 gets other numbers.
    for (const bool looked_at : {false, true}) {
      std::vector<Row> rows;
      std::vector<float> qkv;
      Result expected;
      for (std::size_t s = 0; s < c.sequences.size(); ++s) {
        const std::int64_t begin = looked_at ? c.sequences[s].cached : 0;
        const std::int64_t count = looked_at ? c.sequences[s].rows : c.sequences[s].cached;
        const auto fresh = random(count * 3 * width, 0.1);
        qkv.insert(qkv.end(), fresh.begin(), fresh.end());
        history[s].insert(history[s].end(), fresh.begin(), fresh.end());
        for (std::int64_t p = begin; p < begin + count; ++p) {
          rows.push_back({0, static_cast<std::int32_t>(s), static_cast<std::int32_t>(p)});
          for (std::int64_t h = 0; h < c.heads; ++h) {
            const auto part = [&](std::int64_t position, std::int64_t which, Numbers& to) {
              const float* from =
                  history[s].data() + (position * 3 + which) * width + h * c.head_size;
              to.insert(to.end(), from, from + c.head_size);
            };
            if (!looked_at) continue;
            Numbers q;
            Numbers keys;
            Numbers values;
            part(p, 0, q);
            for (std::int64_t j = 0; j <= p; ++j) {
              part(j, 1, keys);
              part(j, 2, values);
            }
            const Result head =
                reference::attention(p + 1, c.head_size, q, keys, values, scale,
                                     dtype == DType::kF16 ? reference::kHalfUnit : 0);
            expected.value.insert(expected.value.end(), head.value.begin(), head.value.end());
            expected.tolerance.insert(expected.tolerance.end(), head.tolerance.begin(),
                                      head.tolerance.end());
          }
        }
      }
      if (rows.empty()) continue;
      const auto count = static_cast<std::int64_t>(rows.size());
      const Tensor out = tensor(count, width);
      backend_->begin(rows, {});
      const auto other = random(count * 3 * width);
      backend_->attention(tensor(other, count), cache, 0, scale, tensor(count, width));
      backend_->attention(tensor(qkv, count), cache, 1, scale, out);
      backend_->end();
      if (looked_at) expect_near(out, expected);
    }
  }
}

TEST_P(Ops, LoadsEveryStorageTypeAtAnyAlignment) {
  // 1, -2, 0.5 in each type, at an odd address, as a matrix of 3 inputs and 1 output and as a bias.
  const std::pair<DType, std::vector<std::uint8_t>> cases[] = {
      {DType::kF32, {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f}},
      {DType::kF16, {0, 0x3c, 0, 0xc0, 0, 0x38}},
      {DType::kBF16, {0x80, 0x3f, 0, 0xc0, 0, 0x3f}},
  };
  for (const auto& [dtype, numbers] : cases) {
    auto memory = std::make_shared<std::vector<std::uint8_t>>(numbers.size() + 1);
    std::copy(numbers.begin(), numbers.end(), memory->begin() + 1);
    const std::shared_ptr<const std::byte> source(
        memory, reinterpret_cast<const std::byte*>(memory->data()) + 1);
    const Vector bias = backend_->load_vector(source, dtype, 3);
    const Matrix column = backend_->load_matrix(
        {.data = source, .dtype = dtype, .in = 3, .out = 1, .out_major = false}, DType::kF16);
    const Matrix row = backend_->load_matrix(
        {.data = source, .dtype = dtype, .in = 1, .out = 3, .out_major = false}, DType::kF32);
    const Tensor product = tensor(1, 1);
    backend_->linear(tensor({1, 10, 100}, 1), column, {}, product);
    expect_near(product, {{1 - 20 + 50}, {0}});
    const Tensor sums = tensor(1, 3);
    backend_->linear(tensor(std::vector<float>{1}, 1), row, {.bias = &bias, .residual = {}}, sums);
    expect_near(sums, {{2, -4, 1}, {0, 0, 0}});
  }
}

TEST_P(Ops, RefusesWhatHalfPrecisionCannotHold) {
  std::vector<float> weights(40, 1.0F);
  weights.back() = 7e4F;
  const HostMatrix source{
      .data = bytes(weights), .dtype = DType::kF32, .in = 1, .out = 40, .out_major = false};
  EXPECT_THROW(backend_->load_matrix(source, DType::kF16), Error);
  EXPECT_NO_THROW(backend_->load_matrix(source, DType::kF32));
}

TEST_P(Ops, Int8StaysWithinHalfAStep) {
  if (!GetParam().backend->int8) {
    const HostMatrix source{
        .data = bytes({1, 2}), .dtype = DType::kF32, .in = 1, .out = 2, .out_major = false};
    EXPECT_THROW(backend_->load_matrix(source, DType::kI8), Error);
    return;
  }
  for (const LinearCase& c : {LinearCase{3, 200, 70}, {1, 64, 33}, {20, 63, 32}, {1, 1, 1}}) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.in << " -> " << c.out);
    const reference::Linear shape{c.rows, c.in, c.out};
    const auto x = random(c.rows * c.in);
    const auto w = random(c.in * c.out, 0.1, 0.3);
    const Matrix matrix = backend_->load_matrix(
        {.data = bytes(w), .dtype = DType::kF32, .in = c.in, .out = c.out, .out_major = false},
        DType::kI8);
    const Tensor out = tensor(c.rows, c.out);
    backend_->linear(tensor(x, c.rows), matrix, {}, out);
    Result expected = reference::linear(shape, doubles(x), doubles(w), {}, {});
    const Numbers error = reference::int8_error(shape, x, w, 64);
    for (std::size_t i = 0; i < error.size(); ++i) expected.tolerance[i] += error[i];
    expect_near(out, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Ops, testing::ValuesIn(targets()), [](const auto& target) {
  return target.param.backend->name + "_" + std::to_string(target.param.threads) + "_threads";
});

}  // namespace
}  // namespace aira
