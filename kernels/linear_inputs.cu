// The inputs of the linear kernels for many rows: normalised and rounded to halves, once for all
// tiles (linear_parts.h).
#include "kernels/linear_parts.h"

namespace aira::cuda {
namespace {

constexpr int kInputWarps = 16;
constexpr int kInputRows = 8;  // per block

__global__ void __launch_bounds__(kInputWarps * 32)
    inputs_block_per_rows(LinearJob job, InputOrder order, int parts) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int in = static_cast<int>(job.in);
  const std::int64_t pitch = halves_pitch(job.stride);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kInputRows + lane / 4;
  auto* const gain = block_shared_dynamic<float>();
  float* const shift = gain + parts * kPartInputs;
  auto* const moments = reinterpret_cast<Moments*>(shift + parts * kPartInputs);  // [parts][rows]
  const bool norms = job.norm.gain != nullptr;
  for (int k = static_cast<int>(threadIdx.x); norms && k < in; k += kInputWarps * 32) {
    gain[k] = job.norm.gain[k];
    shift[k] = job.norm.bias[k];
  }
  grid_dependency_trigger();
  grid_dependency_wait();
  const float* x = nullptr;
  if (row < job.rows) x = job.x + (job.from == nullptr ? row : job.from[row]) * in;
  RowNorm norm;
  if (norms) {
    for (int p = warp; p < parts; p += kInputWarps) {
      const Moments mine = moments_of(load_part<true>(x, p, in), p, in);
      if (lane % 4 == 0) moments[p * kInputRows + lane / 4] = mine;
    }
    __syncthreads();
    norm = combine_moments(moments + lane / 4, kInputRows, parts, in, job.norm.epsilon);
  }
  if (x == nullptr) return;
  for (int p = warp; p < parts; p += kInputWarps) {
    PartInputs inputs = in % 4 == 0 ? load_part<true>(x, p, in) : load_part<false>(x, p, in);
    if (norms) normalise(inputs, p, in, norm, gain, shift);
    uint4 words[kPartChunks];
    to_halves(inputs, words);
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      const int k = own_input(p, c);
      if (k >= pitch) continue;
      if (order == InputOrder::kRows) {
        static_cast<uint4*>(job.halves)[(row * pitch + k) / 8] = words[c];
        continue;
      }
      const std::int64_t octet =
          (row / kBlockRows * parts + p) * (kBlockRows / 8) + row % kBlockRows / 8;
      auto* const word = static_cast<unsigned*>(job.halves) +
                         ((octet * kPartPieces + 4 * c) * 8 + row % 8) * 4 + lane % 4;
      word[0] = words[c].x;
      word[32] = words[c].y;
      word[64] = words[c].z;
      word[96] = words[c].w;
    }
  }
}

}  // namespace

void linear_inputs(const LinearJob& job, InputOrder order, Stream stream) {
  const auto parts = static_cast<int>((job.stride + kPartInputs - 1) / kPartInputs);
  const std::size_t bytes = static_cast<std::size_t>(job.norm.gain == nullptr ? 1 : parts) *
                            (2 * kPartInputs * sizeof(float) + kInputRows * sizeof(Moments));
  allow_shared(inputs_block_per_rows, static_cast<std::int64_t>(bytes));
  launch({.grid = static_cast<unsigned>((job.rows + kInputRows - 1) / kInputRows),
          .block = kInputWarps * 32,
          .shared_bytes = bytes,
          .stream = stream,
          .name = "inputs_block_per_rows"},
         inputs_block_per_rows, job, order, parts);
}

}  // namespace aira::cuda
