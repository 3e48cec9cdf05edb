// out[i] = x[wanted[i]]: one block per row that is kept, threads along the width.
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 128;

__global__ void __launch_bounds__(kThreads) select_block_per_row(SelectJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const auto i = static_cast<std::int64_t>(blockIdx.x);
  const float* x = job.x + static_cast<std::int64_t>(job.wanted[i]) * job.width;
  for (std::int64_t c = threadIdx.x; c < job.width; c += kThreads) {
    job.out[i * job.width + c] = x[c];
  }
}

}  // namespace

void select_rows(const SelectJob& job, Stream stream) {
  launch({.grid = static_cast<unsigned>(job.count),
          .block = kThreads,
          .stream = stream.stream,
          .dependent = stream.dependent,
          .name = "select_block_per_row"},
         select_block_per_row, job);
}

}  // namespace aira::cuda
