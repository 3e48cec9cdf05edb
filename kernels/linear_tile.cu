// y = residual + activation(norm(x) W + bias) for many rows and f16 or int8 weights, on tensor
// cores; bit for bit the results of linear_few (linear_slices.h).
//
// A first kernel normalises x and rounds it to halves. The second computes a tile of outputs and 64
// rows per block, from parts of both that asynchronous copies bring to shared memory several parts
// ahead; the warps split the tile two by four.
#include "kernels/linear_parts.h"

namespace aira::cuda {
namespace {

constexpr int kTileWarps = 8;
constexpr int kTileRows = 64;

/// One part of the tile's rows. A tile has kUnits x 32 outputs. A row of x is an odd multiple of 64
/// bytes too.
template <typename Storage, int kUnits>
struct Stage {
  WeightsPart<Storage, kUnits * 32> weights;
  uint4 x[kTileRows][kPartPieces];
};

template <typename Storage, int kUnits, int kStages>
__global__ void __launch_bounds__(kTileWarps * 32)
    linear_tile_block_per_tile(LinearJob job, int slice_parts) {
  constexpr int kRowWarps = kTileWarps / 2;
  constexpr int kColumns = kTileRows / 8 / kRowWarps;  // of eight rows, per warp
  constexpr int kOutputs = kUnits * 32;
  auto* const stages = block_shared_dynamic<Stage<Storage, kUnits>>();
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * kTileRows;
  const std::int64_t first_output = static_cast<std::int64_t>(blockIdx.y) * kOutputs;
  const int pitch = static_cast<int>(halves_pitch(job.stride));
  const int parts = pitch / kPartInputs;
  const auto fetch_w = [&](int part) {
    if (part >= parts) return;
    fetch_weights<Storage, kTileWarps * 32>(job, first_output, part,
                                            stages[part % kStages].weights);
  };
  const auto fetch_x = [&](int part) {
    if (part >= parts) return;
    auto& x = stages[part % kStages].x;
    fetch_part<__half, kTileWarps * 32, kTileRows>(
        job.halves, first_row, job.rows, pitch, part,
        [&](int row, int piece) { return &x[row][piece]; });
  };
  grid_dependency_trigger();
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) fetch_w(s);
  grid_dependency_wait();
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    fetch_x(s);
    copy_async_commit();
  }

  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int own_outputs = warp / kRowWarps * kUnits * 16;  // within the tile
  const int own_rows = warp % kRowWarps * kColumns * 8;
  float acc[kUnits][kColumns][4] = {};
  float total[kUnits][kColumns][4] = {};
  int in_slice = 0;
  for (int part = 0; part < parts; ++part) {
    copy_async_wait<kStages - 2>();
    __syncthreads();
    fetch_w(part + kStages - 1);
    fetch_x(part + kStages - 1);
    copy_async_commit();
    const Stage<Storage, kUnits>& stage = stages[part % kStages];
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      const int piece = c * 4 + lane % 4;
      uint4 x[kColumns];
      uint4 low[kUnits];
      uint4 high[kUnits];
      float scale[kUnits][2] = {};
#pragma unroll
      for (int n = 0; n < kColumns; ++n) x[n] = stage.x[own_rows + n * 8 + lane / 4][piece];
#pragma unroll
      for (int m = 0; m < kUnits; ++m) {
        weights_of(stage.weights, part, c, own_outputs + m * 16 + lane / 4, low[m], high[m],
                   scale[m]);
      }
      multiply_chunk<Storage>(acc, low, high, x, scale);
    }
    if (++in_slice < slice_parts && part + 1 < parts) continue;
    in_slice = 0;
#pragma unroll
    for (int m = 0; m < kUnits; ++m) {
#pragma unroll
      for (int n = 0; n < kColumns; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          total[m][n][i] += acc[m][n][i];
          acc[m][n][i] = 0;
        }
      }
    }
  }
  // Through shared memory, so that a warp stores consecutive outputs.
  constexpr int kPitch = kSumsPitch<kOutputs>;
  static_assert(kTileRows * kPitch * sizeof(float) <= kStages * sizeof(Stage<Storage, kUnits>));
  auto* const sums = block_shared_dynamic<float>();
  copy_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int m = 0; m < kUnits; ++m) {
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[(own_rows + n * 8 + lane % 4 * 2 + i % 2) * kPitch + own_outputs + m * 16 + i / 2 * 8 +
             lane / 4] = total[m][n][i];
      }
    }
  }
  __syncthreads();
  const int rows =
      static_cast<int>(min(job.rows - first_row, static_cast<std::int64_t>(kTileRows)));
  store_tile<kTileWarps * 32, kOutputs, 1>(job, first_row, rows, first_output, sums);
}

template <typename Storage, int kUnits, int kStages>
void launch_stages(const LinearJob& job, Stream stream) {
  constexpr std::size_t kBytes = kStages * sizeof(Stage<Storage, kUnits>);
  const auto kernel = linear_tile_block_per_tile<Storage, kUnits, kStages>;
  allow_shared(kernel, kBytes);
  launch({.grid = {static_cast<unsigned>((job.rows + kTileRows - 1) / kTileRows),
                   static_cast<unsigned>((job.out + kUnits * 32 - 1) / (kUnits * 32))},
          .block = kTileWarps * 32,
          .shared_bytes = kBytes,
          .stream = stream,
          .name = "linear_tile_block_per_tile"},
         kernel, job, slices_of(job.stride).parts);
}

template <typename Storage, int kUnits, int kStages>
void launch_tile(const LinearJob& job, Stream stream) {
  constexpr std::int64_t kBytes = kStages * sizeof(Stage<Storage, kUnits>);
  constexpr std::int64_t kLeastShared = 64 << 10;  // of a GPU of compute capability 7.5 or later
  if constexpr (kBytes > kLeastShared) {
    if (kBytes > most_shared()) {
      return launch_stages<Storage, (kUnits > 2 ? 2 : kUnits), 2>(job, stream);
    }
  }
  launch_stages<Storage, kUnits, kStages>(job, stream);
}

/// Chooses the largest tile that leaves work for every multiprocessor; in int8 128 outputs would
/// take so many registers that a multiprocessor has only one block.
template <typename Storage>
void launch_stored(const LinearJob& job, Stream stream) {
  const std::int64_t rows = (job.rows + kTileRows - 1) / kTileRows;
  const auto tiles = [&](std::int64_t outputs) {
    return rows * ((job.out + outputs - 1) / outputs);
  };
  if constexpr (!kScaled<Storage>) {
    if (tiles(128) >= multiprocessors()) return launch_tile<Storage, 4, 3>(job, stream);
  }
  if (tiles(64) >= multiprocessors()) {
    launch_tile<Storage, 2, 4>(job, stream);
  } else {
    launch_tile<Storage, 1, 4>(job, stream);
  }
}

}  // namespace

void linear_tile(const LinearJob& job, Stream stream) {
  if (job.dtype == DType::kF32) throw Error("linear_tile: the weights are in f32.");
  linear_inputs(job, InputOrder::kRows, stream);
  const bool int8 = job.dtype == DType::kI8;
  (int8 ? launch_stored<std::uint8_t> : launch_stored<__half>)(job, stream);
}

}  // namespace aira::cuda
