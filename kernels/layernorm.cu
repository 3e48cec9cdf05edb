// out = (x - mean) / sqrt(variance + epsilon) * gain + bias, for each row, or each of given rows.
//
// One warp per row, lanes along the width, four rows per block. A row of GPT-2 (768 to 1600 floats)
// is 24 to 50 numbers per lane, so a warp's shuffles suffice. The variance is computed from
// deviations in a second pass, from the cache, to avoid cancellation.
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

constexpr unsigned kRows = 4;

__global__ void __launch_bounds__(kRows * 32) layernorm_warp_per_row(LayerNormJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const unsigned lane = threadIdx.x % 32;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.x / 32;
  if (row >= job.rows) return;
  const float* x = job.x + (job.from == nullptr ? row : job.from[row]) * job.width;
  float* out = job.out + row * job.width;

  float sum = 0;
  for (std::int64_t i = lane; i < job.width; i += 32) sum += x[i];
  const float mean = warp_sum(sum) / static_cast<float>(job.width);
  float squares = 0;
  for (std::int64_t i = lane; i < job.width; i += 32) squares += (x[i] - mean) * (x[i] - mean);
  const float variance = warp_sum(squares) / static_cast<float>(job.width);
  const float factor = 1.0F / sqrtf(variance + job.norm.epsilon);
  for (std::int64_t i = lane; i < job.width; i += 32) {
    out[i] = (x[i] - mean) * factor * job.norm.gain[i] + job.norm.bias[i];
  }
}

}  // namespace

void layernorm(const LayerNormJob& job, Stream stream) {
  launch({.grid = static_cast<unsigned>((job.rows + kRows - 1) / kRows),
          .block = kRows * 32,
          .stream = stream,
          .name = "layernorm_warp_per_row"},
         layernorm_warp_per_row, job);
}

}  // namespace aira::cuda
