// y = residual + activation(norm(x) W + bias) for many rows and f16 or int8 weights, on tensor
// cores; bit for bit the results of linear_few (linear_slices.h).
//
// A first kernel normalises x and rounds it to halves. The second computes a tile of outputs and 64
// rows per block, from parts of both that asynchronous copies bring to shared memory several parts
// ahead; the warps split the tile two by four. A row of a part is an odd multiple of 64 bytes, so a
// warp's 16-byte loads of eight rows hit each bank once without padding.
#include "kernels/activation.h"
#include "kernels/linear_slices.h"

namespace aira::cuda {
namespace {

// -- Inputs --

constexpr int kInputWarps = 16;
constexpr int kInputRows = 8;  // per block

__global__ void __launch_bounds__(kInputWarps * 32)
    inputs_block_per_rows(LinearJob job, int parts) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int in = static_cast<int>(job.in);
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
      if (k < job.stride) {
        *reinterpret_cast<uint4*>(static_cast<__half*>(job.halves) + row * job.stride + k) =
            words[c];
      }
    }
  }
}

// -- Products --

constexpr int kTileWarps = 8;
constexpr int kTileRows = 64;
constexpr int kPartPieces = kPartInputs / 8;

/// One part of the tile's rows. A tile has kUnits x 32 outputs.
template <typename Storage, int kUnits>
struct Stage {
  StoredPiece<Storage> weights[kUnits * 32][kPartPieces];
  uint4 x[kTileRows][kPartPieces];
};
template <int kUnits>
struct Stage<std::uint8_t, kUnits> {
  StoredPiece<std::uint8_t> weights[kUnits * 32][kPartPieces];
  uint4 x[kTileRows][kPartPieces];
  std::uint16_t scales[2][kUnits * 32];  // of the part's groups
};

/// Starts copying one part of `kCount` rows from row `first` on of a matrix; zeros beyond its end.
/// A thread copies 16 bytes of each chunk of every kStep-th row.
template <typename Storage, int kCount>
__device__ __forceinline__ void fetch_part(const void* matrix, std::int64_t first,
                                           std::int64_t rows, int stride, int part, void* to) {
  constexpr int kNumbers = 16 / static_cast<int>(sizeof(Storage));
  constexpr int kLanes = kChunkInputs / kNumbers;
  constexpr int kStep = kTileWarps * 32 / kLanes;
  const int row = static_cast<int>(threadIdx.x) / kLanes;
  if (kCount < kStep && row >= kCount) return;
  auto* const copied = static_cast<uint4(*)[kPartChunks * kLanes]>(to);
  const int piece = static_cast<int>(threadIdx.x) % kLanes;
  const int k = part * kPartInputs + piece * kNumbers;
  const auto* from = static_cast<const Storage*>(matrix) + (first + row) * stride + k;
  const int left = static_cast<int>(min(rows - first, static_cast<std::int64_t>(kCount))) - row;
#pragma unroll
  for (int r = 0; r < kCount; r += kStep) {
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      copy_async_16(&copied[row + r][c * kLanes + piece], from + c * kChunkInputs,
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

template <typename Storage, int kUnits, int kStages>
__global__ void __launch_bounds__(kTileWarps * 32)
    linear_tile_block_per_tile(LinearJob job, int slice_parts) {
  constexpr int kRowWarps = kTileWarps / 2;
  constexpr int kColumns = kTileRows / 8 / kRowWarps;  // of eight rows, per warp
  constexpr int kOutputs = kUnits * 32;
  auto* const stages = block_shared_dynamic<Stage<Storage, kUnits>>();
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * kTileRows;
  const std::int64_t first_output = static_cast<std::int64_t>(blockIdx.y) * kOutputs;
  const int stride = static_cast<int>(job.stride);
  const int parts = (stride + kPartInputs - 1) / kPartInputs;
  const auto fetch_weights = [&](int part) {
    if (part >= parts) return;
    auto& stage = stages[part % kStages];
    fetch_part<Storage, kOutputs>(job.weights, first_output, job.out, stride, part, stage.weights);
    if constexpr (kScaled<Storage>) fetch_scales<kOutputs>(job, first_output, part, stage.scales);
  };
  const auto fetch_x = [&](int part) {
    if (part >= parts) return;
    fetch_part<__half, kTileRows>(job.halves, first_row, job.rows, stride, part,
                                  stages[part % kStages].x);
  };
  grid_dependency_trigger();
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) fetch_weights(s);
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
    fetch_weights(part + kStages - 1);
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
        const int own = own_outputs + m * 16 + lane / 4;
        low[m] = halves_of(stage.weights[own][piece]);
        high[m] = halves_of(stage.weights[own + 8][piece]);
        if constexpr (kScaled<Storage>) {
          const std::uint16_t* scales = stage.scales[group_of(part, c)] + own;
          scale[m][0] = bfloat_to_float(scales[0]);
          scale[m][1] = bfloat_to_float(scales[8]);
        }
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
  constexpr int kPitch = kOutputs + 4;  // a warp's stores hit each bank once
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
  const int own = static_cast<int>(threadIdx.x) % kOutputs;
  const std::int64_t output = first_output + own;
  if (output >= job.out) return;
  const float bias = job.bias == nullptr ? 0.0F : job.bias[output];
#pragma unroll 1
  for (int r = static_cast<int>(threadIdx.x) / kOutputs; r < rows;
       r += kTileWarps * 32 / kOutputs) {
    const std::int64_t at = (first_row + r) * job.out + output;
    job.y[at] = activate(sums[r * kPitch + own] + bias, job.activation) +
                (job.residual == nullptr ? 0.0F : job.residual[at]);
  }
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
  const auto parts = static_cast<int>((job.stride + kPartInputs - 1) / kPartInputs);
  const std::size_t bytes = static_cast<std::size_t>(job.norm.gain == nullptr ? 1 : parts) *
                            (2 * kPartInputs * sizeof(float) + kInputRows * sizeof(Moments));
  allow_shared(inputs_block_per_rows, static_cast<std::int64_t>(bytes));
  launch({.grid = static_cast<unsigned>((job.rows + kInputRows - 1) / kInputRows),
          .block = kInputWarps * 32,
          .shared_bytes = bytes,
          .stream = stream,
          .name = "inputs_block_per_rows"},
         inputs_block_per_rows, job, parts);
  const bool int8 = job.dtype == DType::kI8;
  (int8 ? launch_stored<std::uint8_t> : launch_stored<__half>)(job, stream);
}

}  // namespace aira::cuda
