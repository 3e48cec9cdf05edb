// Bias, activation and residual after a matrix product by cuBLAS; a thread per number.
#include "kernels/activation.h"
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    epilogue_thread_per_number(LinearJob job, const float* product) {
  grid_dependency_wait();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= job.rows * job.out) return;
  const float sum = product[i] + (job.bias == nullptr ? 0.0F : job.bias[i % job.out]);
  job.y[i] = activate(sum, job.activation) + (job.residual == nullptr ? 0.0F : job.residual[i]);
}

}  // namespace

void linear_epilogue(const LinearJob& job, const float* product, Stream stream) {
  launch({.grid = static_cast<unsigned>((job.rows * job.out + kThreads - 1) / kThreads),
          .block = kThreads,
          .stream = stream,
          .name = "epilogue_thread_per_number"},
         epilogue_thread_per_number, job, product);
}

}  // namespace aira::cuda
