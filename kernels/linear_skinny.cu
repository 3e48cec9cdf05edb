// y = residual + activation(norm(x) W + bias) for few rows and weights in f32.
//
// Each warp owns kOutputs outputs and reads their weights in 16-byte pieces, lanes side by side;
// the first pieces are fetched before the wait for the kernel that computes x. x is staged in
// shared memory, where a LayerNorm before the product is applied on the way (each block repeats it:
// a few kB against a launch of its own). Sums are f32; a warp's lanes are added by shuffles, always
// in the same order. Up to kMostRows rows share one reading of W; more rows take more blocks (grid
// y).
#include "kernels/activation.h"
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kWarps = 4;
/// Of a multiprocessor: lets ptxas take up to 128 registers. Left to itself it aims at 72 and
/// spills.
constexpr unsigned kLeastBlocks = 4;
constexpr int kOutputs = 2;
constexpr int kPiece = 4;  // weights that a lane loads at a time
constexpr int kAhead = 3;  // pieces of an output that are fetched early
constexpr int kMostRows = 8;
constexpr std::int64_t kSharedFloats = 12288;  // 48 KiB, what every GPU gives without asking
static_assert(kSkinnyInputs <= kSharedFloats);

/// Brings the block's rows into shared memory, [kRows][padded], zeros where there is nothing.
template <int kRows>
__device__ __forceinline__ void stage(const LinearJob& job, std::int64_t first_row,
                                      std::int64_t padded, float* shared) {
  for (std::int64_t i = threadIdx.x; i < kRows * padded; i += kWarps * 32) {
    const std::int64_t r = i / padded;
    const std::int64_t k = i % padded;
    const std::int64_t row = first_row + r;
    const bool there = row < job.rows && k < job.in;
    shared[r * padded + k] = there ? job.x[row * job.in + k] : 0.0F;
  }
  __syncthreads();
  if (job.norm.gain == nullptr) return;
  const unsigned lane = threadIdx.x % 32;
  for (unsigned r = threadIdx.x / 32; r < kRows; r += kWarps) {
    float* x = shared + r * padded;
    float sum = 0;
    for (std::int64_t k = lane; k < job.in; k += 32) sum += x[k];
    const float mean = warp_sum(sum) / static_cast<float>(job.in);
    float squares = 0;
    for (std::int64_t k = lane; k < job.in; k += 32) {
      const float d = x[k] - mean;
      squares += d * d;
    }
    const float variance = warp_sum(squares) / static_cast<float>(job.in);
    const float factor = 1.0F / sqrtf(variance + job.norm.epsilon);
    for (std::int64_t k = lane; k < job.in; k += 32) {
      float& value = x[k];
      value = (value - mean) * factor * job.norm.gain[k] + job.norm.bias[k];
    }
  }
  __syncthreads();
}

template <int kRows>
__global__ void __launch_bounds__(kWarps * 32, kLeastBlocks)
    linear_warp_per_outputs(LinearJob job, std::int64_t padded) {
  const unsigned lane = threadIdx.x % 32;
  const std::int64_t first_output =
      (static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32) * kOutputs;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * kRows;
  const auto piece = [&](int o, std::int64_t k) {
    if (first_output + o >= job.out || k >= job.stride) return make_uint4(0, 0, 0, 0);
    return __ldg(reinterpret_cast<const uint4*>(static_cast<const float*>(job.weights) +
                                                (first_output + o) * job.stride + k));
  };

  uint4 ahead[kOutputs][kAhead];
#pragma unroll
  for (int o = 0; o < kOutputs; ++o) {
#pragma unroll
    for (int i = 0; i < kAhead; ++i) ahead[o][i] = piece(o, (i * 32 + lane) * kPiece);
  }
  grid_dependency_trigger();
  grid_dependency_wait();
  float* shared = block_shared_dynamic<float>();
  stage<kRows>(job, first_row, padded, shared);

  float sum[kRows][kOutputs] = {};
  const auto multiply = [&](const uint4(&weights)[kOutputs], std::int64_t round) {
    float w[kOutputs][kPiece];
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) unpack(weights[o], w[o]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float* x = shared + r * padded + round * 32 * kPiece + lane * 4;
#pragma unroll
      for (int part = 0; part < kPiece / 4; ++part) {
        const float4 four = *reinterpret_cast<const float4*>(x + part * 128);
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          sum[r][o] += four.x * w[o][4 * part] + four.y * w[o][4 * part + 1] +
                       four.z * w[o][4 * part + 2] + four.w * w[o][4 * part + 3];
        }
      }
    }
  };
  const std::int64_t rounds = padded / (32 * kPiece);
#pragma unroll
  for (int i = 0; i < kAhead; ++i) {
    if (i >= rounds) break;
    uint4 weights[kOutputs];
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) weights[o] = ahead[o][i];
    multiply(weights, i);
  }
#pragma unroll 4
  for (std::int64_t i = kAhead; i < rounds; ++i) {
    uint4 weights[kOutputs];
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) weights[o] = piece(o, (i * 32 + lane) * kPiece);
    multiply(weights, i);
  }

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) {
      const float total = warp_sum(sum[r][o]);
      const std::int64_t row = first_row + r;
      const std::int64_t output = first_output + o;
      if (lane != 0 || row >= job.rows || output >= job.out) continue;
      const float y =
          activate(total + (job.bias == nullptr ? 0.0F : job.bias[output]), job.activation);
      const std::int64_t at = row * job.out + output;
      job.y[at] = y + (job.residual == nullptr ? 0.0F : job.residual[at]);
    }
  }
}

template <int kRows>
void launch_rows(const LinearJob& job, Stream stream) {
  constexpr std::int64_t kRound = 32 * kPiece;
  const std::int64_t padded = (job.stride + kRound - 1) / kRound * kRound;
  constexpr std::int64_t kBlockOutputs = kWarps * kOutputs;
  launch({.grid = {static_cast<unsigned>((job.out + kBlockOutputs - 1) / kBlockOutputs),
                   static_cast<unsigned>((job.rows + kRows - 1) / kRows)},
          .block = kWarps * 32,
          .shared_bytes = static_cast<std::size_t>(kRows * padded) * sizeof(float),
          .stream = stream.stream,
          .dependent = stream.dependent,
          .name = "linear_warp_per_outputs"},
         linear_warp_per_outputs<kRows>, job, padded);
}

}  // namespace

void linear_skinny(const LinearJob& job, Stream stream) {
  if (job.dtype != DType::kF32) throw Error("linear_skinny: the weights are not in f32.");
  if (job.stride > kSkinnyInputs) throw Error("linear_skinny: in is beyond kSkinnyInputs.");
  // As many rows at a time as there are and as shared memory holds.
  const std::int64_t fit = kSharedFloats / ((job.stride + 127) / 128 * 128);
  if (job.rows > 4 && fit >= kMostRows) {
    launch_rows<kMostRows>(job, stream);
  } else if (job.rows > 2 && fit >= 4) {
    launch_rows<4>(job, stream);
  } else if (job.rows > 1 && fit >= 2) {
    launch_rows<2>(job, stream);
  } else {
    launch_rows<1>(job, stream);
  }
}

}  // namespace aira::cuda
