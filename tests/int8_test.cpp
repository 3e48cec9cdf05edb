// Weights and inputs in int8: the same bits from every kernel table, the packed layout, and numbers
// that are hard to scale. That the results are right is ops_test.cpp's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "base/half.h"
#include "cpu/cpu_backend.h"

namespace aira {
namespace {

using Floats = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::shared_ptr<const std::byte> bytes(const void* data, std::size_t size) {
  const auto* begin = static_cast<const std::byte*>(data);
  auto copy = std::make_shared<std::vector<std::byte>>(begin, begin + size);
  return {copy, copy->data()};
}

HostTensor matrix(const Floats& weights, std::int64_t in, std::int64_t out) {
  return {
      .data = bytes(weights.data(), weights.size() * 4), .dtype = DType::kF32, .shape = {in, out}};
}

Floats random(std::int64_t count, int seed) {
  std::mt19937_64 source(static_cast<std::uint64_t>(seed));
  std::normal_distribution<float> normal(0.05F, 1);
  Floats numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = normal(source);
  return numbers;
}

std::vector<std::byte> packed(const HostTensor& source, const cpu::Kernels& kernels) {
  ThreadPool pool(1);
  const std::unique_ptr<Backend> backend = make_cpu_backend(pool, kernels);
  const Matrix loaded = backend->load_matrix(source, DType::kI8);
  const auto* data = static_cast<const std::byte*>(loaded.data.get());
  return {data, data + cpu::packed_bytes(DType::kI8, source.in(), source.out())};
}

Floats product(const Floats& x, const HostTensor& source, const cpu::Kernels& kernels,
               int threads = 1) {
  ThreadPool pool(threads);
  const std::unique_ptr<Backend> backend = make_cpu_backend(pool, kernels);
  const Matrix loaded = backend->load_matrix(source, DType::kI8);
  const auto rows = static_cast<std::int64_t>(x.size()) / source.in();
  backend->reserve({.rows = rows, .inputs = source.in()});
  Floats input = x;
  Floats output(static_cast<std::size_t>(rows * source.out()), -1);
  backend->linear({input.data(), rows, source.in()}, loaded, {},
                  {output.data(), rows, source.out()});
  return output;
}

/// The same numbers, NaN included.
void expect_same(const Floats& got, const Floats& expected) {
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * 4), 0);
}

TEST(Int8, SameBitsFromEveryTableBatchAndTeam) {
  for (const std::int64_t in : {1, 63, 64, 65, 130, 768}) {
    for (const std::int64_t out : {1, 31, 33, 96}) {
      const HostTensor source = matrix(random(in * out, 1), in, out);
      const Floats x = random(50 * in, 2);
      Floats expected;  // row by row
      for (std::int64_t row = 0; row < 50; ++row) {
        const Floats y = product({x.begin() + row * in, x.begin() + (row + 1) * in}, source,
                                 cpu::portable::kKernels);
        expected.insert(expected.end(), y.begin(), y.end());
      }
      for (const cpu::Kernels* kernels : cpu::available_kernels()) {
        for (const std::int64_t rows : {1, 2, 5, 6, 7, 15, 16, 17, 22, 32, 50}) {
          SCOPED_TRACE(testing::Message()
                       << kernels->name << " " << rows << " x " << in << " -> " << out);
          const Floats some(x.begin(), x.begin() + rows * in);
          expect_same(product(some, source, *kernels, rows % 2 == 0 ? 3 : 1),
                      {expected.begin(), expected.begin() + rows * out});
        }
      }
    }
  }
}

TEST(Int8, PackedAlikeFromEveryTableAndType) {
  // Halves that are bfloats too, so that each type holds the same numbers.
  const std::int64_t in = 70;
  const std::int64_t out = 35;
  std::vector<std::uint16_t> halves;
  std::vector<std::uint16_t> bfloats;
  std::vector<std::uint16_t> transposed(static_cast<std::size_t>(in * out));
  Floats floats;
  for (std::int64_t i = 0; i < in * out; ++i) {
    const float x = static_cast<float>(i * 37 % 255 - 127) / 32;
    floats.push_back(x);
    halves.push_back(float_to_half(x));
    std::uint32_t bits = 0;
    std::memcpy(&bits, &x, 4);
    bfloats.push_back(static_cast<std::uint16_t>(bits >> 16));
    transposed[static_cast<std::size_t>(i % out * in + i / out)] = bfloats.back();
  }
  const auto expected = packed(matrix(floats, in, out), cpu::portable::kKernels);
  for (const cpu::Kernels* kernels : cpu::available_kernels()) {
    SCOPED_TRACE(kernels->name);
    EXPECT_EQ(packed(matrix(floats, in, out), *kernels), expected);
    HostTensor source{
        .data = bytes(halves.data(), halves.size() * 2), .dtype = DType::kF16, .shape = {in, out}};
    EXPECT_EQ(packed(source, *kernels), expected);
    source.data = bytes(bfloats.data(), bfloats.size() * 2);
    source.dtype = DType::kBF16;
    EXPECT_EQ(packed(source, *kernels), expected);
    source.data = bytes(transposed.data(), transposed.size() * 2);
    source.out_major = true;
    source.shape = {out, in};
    EXPECT_EQ(packed(source, *kernels), expected);
  }
}

TEST(Int8, Layout) {
  // 2 inputs, 2 outputs: columns (127, -1) and (0.5, 0.25).
  static_assert(cpu::kPanelLayout == 1, "new layouts get a new number");
  const auto got = packed(matrix({127, 0.5F, -1, 0.25F}, 2, 2), cpu::portable::kKernels);
  ASSERT_EQ(got.size(), 64 + 2048U);
  std::vector<std::byte> expected(got.size(), std::byte{0});
  expected[1] = std::byte{0x3f};  // 1 as bf16
  expected[0] = std::byte{0x80};
  expected[3] = std::byte{0x3b};  // 0.5 / 127 = 0.003937, rounded up to 130 / 32768
  expected[2] = std::byte{0x82};
  expected[64] = std::byte{127};
  expected[65] = std::byte{0xff};
  expected[68] = std::byte{126};  // 0.5 * 32768 / 130 = 126.03
  expected[69] = std::byte{63};   // 63.02
  EXPECT_EQ(got, expected);
}

TEST(Int8, NumbersThatAreHardToScale) {
  // Each column of 64 inputs has one kind of weight; x is all ones but for its first number.
  constexpr float kLargest = std::numeric_limits<float>::max();
  const Floats kinds = {0, 0x1p-140F, -0x1p-101F, 0x1p-99F, 1e-30F, kLargest / 256, 3e38F};
  const auto out = static_cast<std::int64_t>(kinds.size());
  Floats weights(static_cast<std::size_t>(64 * out), 0);
  for (std::size_t o = 0; o < kinds.size(); ++o) weights[o] = kinds[o];
  Floats x(64, 1);
  x[0] = 0.5F;
  for (const cpu::Kernels* kernels : cpu::available_kernels()) {
    SCOPED_TRACE(kernels->name);
    const Floats y = product(x, matrix(weights, 64, out), *kernels);
    EXPECT_EQ((Floats{y[0], y[1], y[2]}), (Floats{0, 0, 0}));  // below 2^-100 nothing is left
    for (std::size_t o = 3; o < kinds.size(); ++o) {
      EXPECT_NEAR(y[o] / kinds[o], 0.5, 2 * 1.01 / 254) << kinds[o];
    }
    // The same for inputs.
    for (const float kind : kinds) {
      Floats input(64, 0);
      input[63] = kind;
      const Floats z = product(input, matrix(Floats(64, 0.5F), 64, 1), *kernels);
      if (std::abs(kind) < 0x1p-100F) {
        EXPECT_EQ(z[0], 0);
      } else {
        EXPECT_NEAR(z[0] / kind, 0.5, 2 * 1.01 / 254) << kind;
      }
    }
  }
}

TEST(Int8, InfinityAndNanAreNotHidden) {
  for (const cpu::Kernels* kernels : cpu::available_kernels()) {
    SCOPED_TRACE(kernels->name);
    for (const float bad : {kInfinity, -kInfinity, std::nanf("")}) {
      Floats x = random(130 * 17, 3);
      x[70] = bad;
      const HostTensor good = matrix(random(130 * 2, 4), 130, 2);
      const Floats y = product(x, good, *kernels);
      EXPECT_FALSE(std::isfinite(y[0]));
      EXPECT_FALSE(std::isfinite(y[1]));
      for (std::size_t i = 2; i < y.size(); ++i) EXPECT_TRUE(std::isfinite(y[i]));  // other rows
      Floats weights = random(130 * 2, 4);
      weights[129 * 2] = bad;
      const Floats z = product(random(130, 5), matrix(weights, 130, 2), *kernels);
      EXPECT_FALSE(std::isfinite(z[0]));
      EXPECT_TRUE(std::isfinite(z[1]));
    }
  }
}

}  // namespace
}  // namespace aira
