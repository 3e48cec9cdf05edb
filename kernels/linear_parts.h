// What the linear kernels for many rows share: inputs as halves, parts of a matrix on their way to
// shared memory, and what is done with a tile's sums.
#pragma once

#include "kernels/activation.h"
#include "kernels/linear_slices.h"

namespace aira::cuda {

/// LinearJob::halves: rows of halves_pitch(stride); or parts of kBlockRows rows, each in the order
/// in which tensor-core steps take it from shared memory, pieces of eight rows together:
/// [rows / 32][parts][4 octets][12 pieces][8 rows], word t of the piece 2 s + h of a chunk being
/// the inputs 8 t + 4 s + 2 h and the next (linear_slices.h).
enum class InputOrder { kRows, kOperands };
constexpr int kBlockRows = 32;
/// job.halves = norm(x).
void linear_inputs(const LinearJob& job, InputOrder order, Stream stream);

constexpr int kPartPieces = kPartInputs / 8;

/// Starts copying one part of `kCount` rows from row `first` on of a matrix, 16 bytes at a time to
/// place(row, piece); zeros beyond its end. A thread copies one piece of each chunk of every
/// kStep-th row.
template <typename Storage, int kThreads, int kCount, typename Place>
__device__ __forceinline__ void fetch_part(const void* matrix, std::int64_t first,
                                           std::int64_t rows, int stride, int part,
                                           const Place& place) {
  constexpr int kNumbers = 16 / static_cast<int>(sizeof(Storage));
  constexpr int kLanes = kChunkInputs / kNumbers;
  constexpr int kStep = kThreads / kLanes;
  const int row = static_cast<int>(threadIdx.x) / kLanes;
  if (kCount < kStep && row >= kCount) return;
  const int piece = static_cast<int>(threadIdx.x) % kLanes;
  const int k = part * kPartInputs + piece * kNumbers;
  const auto* from = static_cast<const Storage*>(matrix) + (first + row) * stride + k;
  const int left = static_cast<int>(min(rows - first, static_cast<std::int64_t>(kCount))) - row;
#pragma unroll
  for (int r = 0; r < kCount; r += kStep) {
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      copy_async_16(place(row + r, c * kLanes + piece), from + c * kChunkInputs,
                    r < left && k + c * kChunkInputs < stride);
    }
    from += kStep * stride;
  }
}

/// The same of the scales of kOutputs outputs.
template <int kOutputs>
__device__ __forceinline__ void fetch_scales(const LinearJob& job, std::int64_t first, int part,
                                             std::uint16_t (*to)[kOutputs]) {
  const int g = static_cast<int>(threadIdx.x) / (kOutputs / 8);
  const int own = static_cast<int>(threadIdx.x) % (kOutputs / 8) * 8;
  if (g >= 2) return;
  const std::int64_t group = first_group(part) + g;
  const std::int64_t pitch = scale_pitch(job.out);
  copy_async_16(&to[g][own],
                scales_of(job.weights, job.out, job.stride) + group * pitch + first + own,
                group < scale_groups(job.in) && first + own < pitch);
}

/// One part of the weights of kOutputs outputs, and its scales. A row is an odd multiple of 64 (32)
/// bytes, so a warp's loads of eight rows hit each bank once.
template <typename Storage, int kOutputs>
struct WeightsPart {
  StoredPiece<Storage> pieces[kOutputs][kPartPieces];
};
template <int kOutputs>
struct WeightsPart<std::uint8_t, kOutputs> {
  StoredPiece<std::uint8_t> pieces[kOutputs][kPartPieces];
  std::uint16_t scales[2][kOutputs];  // of the part's groups
};
template <typename Storage, int kThreads, int kOutputs>
__device__ __forceinline__ void fetch_weights(const LinearJob& job, std::int64_t first, int part,
                                              WeightsPart<Storage, kOutputs>& to) {
  constexpr int kRowCopies = kPartInputs * static_cast<int>(sizeof(Storage)) / 16;
  auto* const copied = reinterpret_cast<uint4(*)[kRowCopies]>(to.pieces);
  fetch_part<Storage, kThreads, kOutputs>(job.weights, first, job.out, static_cast<int>(job.stride),
                                          part,
                                          [&](int row, int piece) { return &copied[row][piece]; });
  if constexpr (kScaled<Storage>) fetch_scales<kOutputs>(job, first, part, to.scales);
}
/// A lane's weights of a chunk: the outputs `own` and own + 8.
template <typename Storage, int kOutputs>
__device__ __forceinline__ void weights_of(const WeightsPart<Storage, kOutputs>& weights, int part,
                                           int chunk, int own, uint4& low, uint4& high,
                                           float (&scale)[2]) {
  const int piece = chunk * 4 + static_cast<int>(threadIdx.x) % 4;
  low = halves_of(weights.pieces[own][piece]);
  high = halves_of(weights.pieces[own + 8][piece]);
  if constexpr (kScaled<Storage>) {
    const std::uint16_t* scales = weights.scales[group_of(part, chunk)] + own;
    scale[0] = bfloat_to_float(scales[0]);
    scale[1] = bfloat_to_float(scales[8]);
  }
}

/// Of a row of sums: a warp's stores of two neighbours by four rows hit each bank once.
template <int kOutputs>
constexpr int kSumsPitch = kOutputs + 4;
/// y of a tile's `rows` rows from its sums, which all threads have stored; a thread loads the
/// residuals of kAtOnce rows before it stores y over them.
template <int kThreads, int kOutputs, int kAtOnce>
__device__ __forceinline__ void store_tile(const LinearJob& job, std::int64_t first_row, int rows,
                                           std::int64_t first_output, const float* sums) {
  const int own = static_cast<int>(threadIdx.x) % kOutputs;
  const std::int64_t output = first_output + own;
  if (output >= job.out) return;
  const float bias = job.bias == nullptr ? 0.0F : job.bias[output];
  const auto store = [&](int r, Activation activation, float residual) {
    job.y[(first_row + r) * job.out + output] =
        activate(sums[r * kSumsPitch<kOutputs> + own] + bias, activation) + residual;
  };
  const auto residual_of = [&](int r) {
    if (job.residual == nullptr || r >= rows) return 0.0F;
    return job.residual[(first_row + r) * job.out + output];
  };
  constexpr int kStep = kThreads / kOutputs;
  int r = static_cast<int>(threadIdx.x) / kOutputs;
  const auto store_rows = [&](Activation activation) {
#pragma unroll 1
    for (; r < rows; r += kAtOnce * kStep) {
      float residual[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) residual[i] = residual_of(r + i * kStep);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (r + i * kStep < rows) store(r + i * kStep, activation, residual[i]);
      }
    }
  };
  if (job.activation == Activation::kNone) {
    store_rows(Activation::kNone);
  } else if (job.activation == Activation::kGeluTanh) {
    store_rows(Activation::kGeluTanh);
  } else {
#pragma unroll 1
    for (; r < rows; r += kStep) store(r, job.activation, residual_of(r));
  }
}

}  // namespace aira::cuda
