// Inputs and expected outputs of the sample kernels (sample_checks.h). All numbers are small
// integers, so that sums are exact in any order.
#include "sample_checks.h"

#include <functional>
#include <numeric>
#include <vector>

#include "device_array.h"

namespace aira::cuda::sample {
namespace {

std::vector<float> numbers(int count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    values[static_cast<std::size_t>(i)] = static_cast<float>(i * 7 % 11 - 3);
  }
  return values;
}

}  // namespace

bool row_sums_is_right(Plant plant) {
  constexpr int kRows = 5;
  constexpr int kColumns = 301;
  const std::vector<float> in = numbers(kRows * kColumns);
  const DeviceArray<float> device_in(in);
  const DeviceArray<float> out(kRows);
  row_sums(plant, out.get(), device_in.get(), kRows, kColumns, nullptr);
  std::vector<float> expected;
  for (int row = 0; row < kRows; ++row) {
    const auto begin = in.begin() + row * kColumns;
    expected.push_back(std::accumulate(begin, begin + kColumns, 0.0F));
  }
  return out.read() == expected;
}

bool scan_is_right(Plant plant) {
  bool right = true;
  for (const int n : {1, 31, 32, 33, 200, 1024}) {
    std::vector<int> in(static_cast<std::size_t>(n));
    std::iota(in.begin(), in.end(), -5);
    const DeviceArray<int> device_in(in);
    const DeviceArray<int> out(in.size());
    scan(plant, out.get(), device_in.get(), n);
    std::partial_sum(in.begin(), in.end(), in.begin());
    right = right && out.read() == in;
  }
  return right;
}

bool transpose_is_right(Plant plant) {
  constexpr int kRows = 45;
  constexpr int kColumns = 70;
  const std::vector<float> in = numbers(kRows * kColumns);
  const DeviceArray<float> device_in(in);
  const DeviceArray<float> out(in.size());
  transpose(plant, out.get(), device_in.get(), kRows, kColumns);
  const std::vector<float> result = out.read();
  bool right = true;
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t column = 0; column < kColumns; ++column) {
      right = right && result[column * kRows + row] == in[row * kColumns + column];
    }
  }
  return right;
}

bool small_gemm_is_right(Plant plant) {
  const std::vector<float> a = numbers(256);
  const std::vector<float> b = numbers(128);
  const DeviceArray<half> device_a(std::vector<half>(a.begin(), a.end()));
  const DeviceArray<half> device_b(std::vector<half>(b.begin(), b.end()));
  const DeviceArray<float> d(128);
  small_gemm(plant, d.get(), device_a.get(), device_b.get());
  std::vector<float> expected(128, 0.0F);
  for (std::size_t i = 0; i < 128; ++i) {
    for (std::size_t k = 0; k < 16; ++k) expected[i] += a[i / 8 * 16 + k] * b[k * 8 + i % 8];
  }
  return d.read() == expected;
}

bool pipelined_sum_is_right(Plant plant) {
  constexpr int kStages = 7;
  const std::vector<float> in = numbers(512 * kStages);
  const DeviceArray<float> device_in(in);
  const DeviceArray<float> out(512);
  pipelined_sum(plant, out.get(), device_in.get(), kStages);
  std::vector<float> expected(512, 0.0F);
  for (std::size_t i = 0; i < in.size(); ++i) expected[i % 512] += in[i];
  return out.read() == expected;
}

bool grid_sum_is_right(Plant plant) {
  constexpr int kCount = 1000;
  const std::vector<float> in = numbers(kCount);
  const DeviceArray<float> device_in(in);
  const DeviceArray<float> out(1);
  const DeviceArray<float> partial(kCount);
  const DeviceArray<unsigned> counter(std::vector<unsigned>{0});
  const float expected = std::accumulate(in.begin(), in.end(), 0.0F);
  bool right = true;
  for (int repeat = 0; repeat < 2; ++repeat) {
    grid_sum(plant, out.get(), partial.get(), counter.get(), device_in.get(), kCount);
    right = right && out.read() == std::vector<float>{expected};
  }
  return right;
}

bool grid_wait_is_right(Plant plant) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  std::vector<float> in = numbers(500);
  const DeviceArray<float> device_in(in);
  const DeviceArray<float> out(in.size());
  add_one_then_double(plant, out.get(), device_in.get(), 500, stream);
  check(cudaStreamSynchronize(stream), "waiting");
  for (float& value : in) value = (value + 1.0F) * 2.0F;
  const bool right = out.read() == in;
  check(cudaStreamDestroy(stream), "destroying a stream");
  return right;
}

bool copy_by_four_is_right(Plant plant) {
  bool right = true;
  for (const int n : {1, 3, 4, 127, 128, 131}) {
    const std::vector<float> in = numbers(n);
    const DeviceArray<float> device_in(in);
    const DeviceArray<float> out(in.size());
    copy_by_four(plant, out.get(), device_in.get(), n);
    right = right && out.read() == in;
  }
  return right;
}

}  // namespace aira::cuda::sample
