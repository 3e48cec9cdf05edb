// What goes around a matrix product of cuBLAS: rows to halves before it, and bias, activation and
// residual after it. Both are one pass over memory, a thread per number.
#include "kernels/activation.h"
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

unsigned blocks(std::int64_t numbers) {
  return static_cast<unsigned>((numbers + kThreads - 1) / kThreads);
}

__global__ void __launch_bounds__(kThreads)
    to_half_thread_per_number(const float* x, std::int64_t rows, std::int64_t in,
                              std::int64_t stride, __half* out) {
  grid_dependency_wait();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rows * stride) return;
  const std::int64_t k = i % stride;
  out[i] = __float2half_rn(k < in ? x[i / stride * in + k] : 0.0F);
}

__global__ void __launch_bounds__(kThreads)
    epilogue_thread_per_number(LinearJob job, const float* product) {
  grid_dependency_wait();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= job.rows * job.out) return;
  const float sum = product[i] + (job.bias == nullptr ? 0.0F : job.bias[i % job.out]);
  job.y[i] = activate(sum, job.activation) + (job.residual == nullptr ? 0.0F : job.residual[i]);
}

}  // namespace

void rows_to_half(const float* x, std::int64_t rows, std::int64_t in, std::int64_t stride,
                  void* out, Stream stream) {
  launch({.grid = blocks(rows * stride),
          .block = kThreads,
          .stream = stream.stream,
          .dependent = stream.dependent,
          .name = "to_half_thread_per_number"},
         to_half_thread_per_number, x, rows, in, stride, static_cast<__half*>(out));
}

void linear_epilogue(const LinearJob& job, const float* product, Stream stream) {
  launch({.grid = blocks(job.rows * job.out),
          .block = kThreads,
          .stream = stream.stream,
          .dependent = stream.dependent,
          .name = "epilogue_thread_per_number"},
         epilogue_thread_per_number, job, product);
}

}  // namespace aira::cuda
