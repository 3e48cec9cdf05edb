// The arithmetic shared by the linear kernels for f16 and int8 weights, so that a row's result has
// the same bits whichever kernel computes it, and whatever other rows there are.
//
// Inputs are cut into parts of kPartInputs; one or more parts form a slice. Tensor cores accumulate
// a slice's products; the slices are added in order, in f32. The order of inputs within a
// tensor-core step is free as long as both operands agree: lane L (g = L / 4, t = L % 4) holds
// inputs 8 t .. 8 t + 7 of each chunk of 32, which is one 16-byte piece of a row of weights. A
// chunk takes two steps: the first four halves of each piece, then the other four.
//
// Weights in int8 are halves without error; the products of a chunk, which lies in one group, are
// summed by themselves and added to the slice times the group's scale, in f32.
//
// The moments of a LayerNorm are computed part by part and combined in order.
#pragma once

#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/storage.h"

namespace aira::cuda {

constexpr int kChunkInputs = 32;
constexpr int kPartChunks = 3;
constexpr int kPartInputs = kPartChunks * kChunkInputs;
constexpr int kMostSlices = 32;

/// How a row of inputs is cut; depends on the weights' stride alone.
struct Slices {
  int parts = 1;  // per slice
  int count = 1;
};
inline Slices slices_of(std::int64_t stride) {
  const auto parts = static_cast<int>((stride + kPartInputs - 1) / kPartInputs);
  const int in_slice = (parts + kMostSlices - 1) / kMostSlices;
  return {in_slice, (parts + in_slice - 1) / in_slice};
}

/// Weights are stored as halves or, with scales, as bytes.
template <typename Storage>
constexpr bool kScaled = std::is_same_v<Storage, std::uint8_t>;
/// Eight of an output's weights.
template <typename Storage>
using StoredPiece = std::conditional_t<kScaled<Storage>, uint2, uint4>;
__device__ __forceinline__ uint4 halves_of(const uint4& piece) { return piece; }
__device__ __forceinline__ uint4 halves_of(const uint2& piece) { return int8_to_halves(piece); }

/// A part touches two groups of inputs that share a scale: the first, and that of a chunk relative
/// to it.
static_assert(2 * kPartInputs == 3 * kScaleInputs);
__device__ __forceinline__ int first_group(int part) { return part * 3 / 2; }
__device__ __forceinline__ int group_of(int part, int chunk) { return (chunk + part % 2) / 2; }

/// acc += weights x inputs, the two steps of a chunk: 16 outputs (`low` is row g, `high` row g + 8)
/// by 8 rows.
__device__ __forceinline__ void multiply_first(float (&acc)[4], const uint4& low, const uint4& high,
                                               const uint4& x) {
  mma_m16n8k16(acc, {low.x, high.x, low.y, high.y}, {x.x, x.y});
}
__device__ __forceinline__ void multiply_second(float (&acc)[4], const uint4& low,
                                                const uint4& high, const uint4& x) {
  mma_m16n8k16(acc, {low.z, high.z, low.w, high.w}, {x.z, x.w});
}

/// acc += weights x inputs of one chunk: kM x 16 outputs by kN x 8 rows. `scale`, of rows g and
/// g + 8, is for int8.
template <typename Storage, int kM, int kN>
__device__ __forceinline__ void multiply_chunk(float (&acc)[kM][kN][4], const uint4 (&low)[kM],
                                               const uint4 (&high)[kM], const uint4 (&x)[kN],
                                               const float (&scale)[kM][2]) {
  float products[kM][kN][4] = {};
  auto& sums = kScaled<Storage> ? products : acc;
  // All first steps, then all second steps: consecutive products do not depend on each other.
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int n = 0; n < kN; ++n) multiply_first(sums[m][n], low[m], high[m], x[n]);
  }
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int n = 0; n < kN; ++n) multiply_second(sums[m][n], low[m], high[m], x[n]);
  }
  if constexpr (kScaled<Storage>) {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int n = 0; n < kN; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          acc[m][n][i] = fmaf(products[m][n][i], scale[m][i / 2], acc[m][n][i]);
        }
      }
    }
  }
}

/// A lane's inputs of one part of its row: eight of each chunk c, from 32 c + 8 t on.
struct PartInputs {
  float4 x[kPartChunks][2];
};
/// The first of the lane's inputs in a chunk.
__device__ __forceinline__ int own_input(int part, int chunk) {
  return part * kPartInputs + chunk * kChunkInputs + static_cast<int>(threadIdx.x % 4) * 8;
}
/// Zeros beyond `in`, and for a null row. kFours: `in` is a multiple of four and rows begin on
/// 16-byte boundaries.
template <bool kFours>
__device__ __forceinline__ PartInputs load_part(const float* row, int part, int in) {
  PartInputs inputs;
#pragma unroll
  for (int c = 0; c < kPartChunks; ++c) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int k = own_input(part, c) + 4 * i;
      const bool there = row != nullptr && k < in;
      float4& x = inputs.x[c][i];
      x = make_float4(0, 0, 0, 0);
      if constexpr (kFours) {
        if (there) x = *reinterpret_cast<const float4*>(row + k);
      } else if (there) {
        x.x = row[k];
        if (k + 1 < in) x.y = row[k + 1];
        if (k + 2 < in) x.z = row[k + 2];
        if (k + 3 < in) x.w = row[k + 3];
      }
    }
  }
  return inputs;
}

/// The mean of a part's inputs and the sum of their squared deviations, the same in the four lanes
/// of a row. Computed from differences to the part's first input, to avoid cancellation.
struct Moments {
  float mean = 0;
  float squares = 0;
};
__device__ __forceinline__ int inputs_of_part(int part, int in) {
  return max(0, min(in - part * kPartInputs, kPartInputs));
}
/// `in` is a multiple of four.
__device__ __forceinline__ Moments moments_of(const PartInputs& inputs, int part, int in) {
  const float first =
      __shfl_sync(kWholeWarp, inputs.x[0][0].x, static_cast<int>(threadIdx.x % 32) / 4 * 4);
  float sums[kPartChunks] = {};
  float products[kPartChunks] = {};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      const float shift = own_input(part, c) + 4 * i < in ? first : 0.0F;  // zeros stay zeros
      const float4& x = inputs.x[c][i];
      const float d[4] = {x.x - shift, x.y - shift, x.z - shift, x.w - shift};
#pragma unroll
      for (const float one : d) {
        sums[c] += one;
        products[c] = fmaf(one, one, products[c]);
      }
    }
  }
  float sum = (sums[0] + sums[1]) + sums[2];
  float squares = (products[0] + products[1]) + products[2];
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2) {
    sum += __shfl_xor_sync(kWholeWarp, sum, distance);
    squares += __shfl_xor_sync(kWholeWarp, squares, distance);
  }
  const float mean = sum / static_cast<float>(max(inputs_of_part(part, in), 1));
  return {first + mean, fmaxf(squares - mean * sum, 0.0F)};
}

/// LayerNorm of a row: (x - mean) factor.
struct RowNorm {
  float mean = 0;
  float factor = 0;
};
/// Combines the moments of a row's `parts`, part p's at moments[p * pitch] (Chan, Golub and
/// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances").
__device__ __forceinline__ RowNorm combine_moments(const Moments* moments, int pitch, int parts,
                                                   int in, float epsilon) {
  const auto last = static_cast<float>(inputs_of_part(parts - 1, in));
  const float inverse = 1.0F / static_cast<float>(in);
  float sum = 0;
#pragma unroll 8
  for (int p = 0; p < parts; ++p) {
    sum += moments[p * pitch].mean * (p + 1 < parts ? static_cast<float>(kPartInputs) : last);
  }
  const float mean = sum * inverse;
  float squares = 0;
#pragma unroll 8
  for (int p = 0; p < parts; ++p) {
    const Moments& part = moments[p * pitch];
    const float d = part.mean - mean;
    squares += part.squares + (p + 1 < parts ? static_cast<float>(kPartInputs) : last) * (d * d);
  }
  return {mean, 1.0F / sqrtf(squares * inverse + epsilon)};
}

/// x = (x - mean) factor gain + bias; zeros beyond `in`, a multiple of four. gain and bias begin at
/// input 0, on 16-byte boundaries.
__device__ __forceinline__ void normalise(PartInputs& inputs, int part, int in, const RowNorm& norm,
                                          const float* gain, const float* bias) {
  const float factor = norm.factor;
  const float offset = -norm.mean * factor;
#pragma unroll
  for (int c = 0; c < kPartChunks; ++c) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int k = own_input(part, c) + 4 * i;
      if (k >= in) continue;
      const float4 g = *reinterpret_cast<const float4*>(gain + k);
      const float4 b = *reinterpret_cast<const float4*>(bias + k);
      float4& x = inputs.x[c][i];
      x = make_float4(
          fmaf(fmaf(x.x, factor, offset), g.x, b.x), fmaf(fmaf(x.y, factor, offset), g.y, b.y),
          fmaf(fmaf(x.z, factor, offset), g.z, b.z), fmaf(fmaf(x.w, factor, offset), g.w, b.w));
    }
  }
}

/// A lane's operand of each chunk.
__device__ __forceinline__ void to_halves(const PartInputs& inputs, uint4 (&words)[kPartChunks]) {
#pragma unroll
  for (int c = 0; c < kPartChunks; ++c) {
    const float4& low = inputs.x[c][0];
    const float4& high = inputs.x[c][1];
    words[c] = make_uint4(pack_halves(low.x, low.y), pack_halves(low.z, low.w),
                          pack_halves(high.x, high.y), pack_halves(high.z, high.w));
  }
}

}  // namespace aira::cuda
