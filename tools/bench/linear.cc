// Speed of the CPU's linear maps alone, for GPT-2 small's shapes, by rows and type: GFLOP/s (or
// GOP/s) and GB/s of weights, beside what the cores can do. One kernel table, as AIRA_ISA says.
// usage: linear-bench [THREADS] [DTYPE...]     build: cmake --build build --target linear-bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"

namespace aira {
namespace {

struct Shape {
  std::int64_t in, out;
};

constexpr Shape kShapes[] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}, {768, 50259}};

Matrix random_matrix(Backend& backend, const Shape& shape, DType dtype) {
  const auto numbers = std::make_shared<std::vector<float>>(shape.in * shape.out);
  std::uint32_t state = 1;
  for (float& x : *numbers) {
    state = state * 1664525U + 1013904223U;
    x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-34F;
  }
  return backend.load_matrix({.data = {numbers, reinterpret_cast<std::byte*>(numbers->data())},
                              .dtype = DType::kF32,
                              .shape = {shape.in, shape.out}},
                             dtype);
}

/// Seconds of one product, the median. Copies of the matrix take turns, so that small ones come
/// from memory as they do in a model.
double seconds(Backend& backend, const Shape& shape, DType dtype, std::int64_t rows) {
  const std::int64_t copies =
      std::clamp<std::int64_t>((std::int64_t{100} << 20) / (shape.in * shape.out), 1, 24);
  std::vector<Matrix> matrices;
  for (std::int64_t i = 0; i < copies; ++i) {
    matrices.push_back(random_matrix(backend, shape, dtype));
  }
  const Buffer x = backend.alloc(rows * shape.in * 4);
  const Buffer y = backend.alloc(rows * shape.out * 4);
  const Tensor input{static_cast<float*>(x.get()), rows, shape.in};
  const Tensor output{static_cast<float*>(y.get()), rows, shape.out};
  for (std::int64_t i = 0; i < rows * shape.in; ++i) {
    input.data[i] = static_cast<float>(i % 1001) * 0.01F - 5;
  }
  std::vector<double> times;
  for (int repetition = 0; repetition < 7; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    for (const Matrix& matrix : matrices) backend.linear(input, matrix, {}, output);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    times.push_back(elapsed.count() / static_cast<double>(copies));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void measure(ThreadPool& pool, DType dtype) {
  std::printf("%s\n%-14s", name_of(dtype), "rows");
  constexpr std::int64_t kRows[] = {1, 2, 4, 8, 16, 32, 64, 256};
  for (const std::int64_t rows : kRows) std::printf("%8lld", static_cast<long long>(rows));
  std::printf("   GB/s at 1\n");
  for (const Shape& shape : kShapes) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(pool);
    std::printf("%6lld x %-5lld", static_cast<long long>(shape.in),
                static_cast<long long>(shape.out));
    backend->reserve({.rows = std::end(kRows)[-1], .inputs = shape.in, .outputs = shape.out});
    double bandwidth = 0;
    for (const std::int64_t rows : kRows) {
      const double time = seconds(*backend, shape, dtype, rows);
      std::printf("%8.0f", 2e-9 * static_cast<double>(rows * shape.in * shape.out) / time);
      if (rows > 1) continue;
      const std::int64_t bytes = cpu::packed_bytes(dtype, shape.in, shape.out);
      bandwidth = 1e-9 * static_cast<double>(bytes) / time;
    }
    std::printf("%12.1f\n", bandwidth);
  }
}

}  // namespace
}  // namespace aira

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  aira::ThreadPool pool(threads);
  std::printf("%s\n", aira::make_cpu_backend(pool)->description().c_str());
  for (const aira::DType dtype : {aira::DType::kF32, aira::DType::kF16, aira::DType::kI8}) {
    const bool wanted = argc <= 2 || std::any_of(argv + 2, argv + argc, [&](const char* name) {
                          return name == std::string(aira::name_of(dtype));
                        });
    if (wanted) aira::measure(pool, dtype);
  }
}
