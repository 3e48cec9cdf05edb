// linear_tile by the warpgroup instructions of Hopper, bit for bit: a tensor-core step adds its 16
// products as mma does (measured on an H100: 204,800 of 204,800 sums equal).
//
// Weights go from shared memory through registers. Inputs, in the order of the steps' operands, go
// straight from shared memory, to which bulk copies bring them: copies of the other kind would need
// a fence, which waits for every copy on its way (measured: 1.3 to 1.6 times linear_tile's time).
// Each warpgroup has 64 outputs of the tile and all of its rows.
#include "kernels/linear_parts.h"

namespace aira::cuda {
namespace {

constexpr int kGroupOutputs = 64;
constexpr int kGroupThreads = 128;

constexpr int kPiecePitch = 128;
constexpr int kOctetPitch = kPartPieces * kPiecePitch;

template <typename Storage, int kGroups, int kRows>
struct Stage {
  WeightsPart<Storage, kGroups * kGroupOutputs> weights;
  alignas(16) unsigned char x[kRows / 8 * kOctetPitch];
};
template <typename Storage, int kGroups, int kRows, int kStages>
struct Shared {
  Stage<Storage, kGroups, kRows> stages[kStages];
  BulkBarrier barriers[kStages];
};

template <typename Storage, int kGroups, int kRows, int kStages>
__global__ void __launch_bounds__(kGroups* kGroupThreads)
    linear_wgmma_block_per_tile(LinearJob job, int slice_parts) {
#ifdef AIRA_WARPGROUPS
  constexpr int kOutputs = kGroups * kGroupOutputs;
  constexpr int kThreads = kGroups * kGroupThreads;
  constexpr int kSums = kRows / 2;  // per thread
  constexpr int kBlockBytes = kBlockRows / 8 * kOctetPitch;
  auto& shared = *block_shared_dynamic<Shared<Storage, kGroups, kRows, kStages>>();
  auto& stages = shared.stages;
  auto& barriers = shared.barriers;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * kRows;
  const std::int64_t first_output = static_cast<std::int64_t>(blockIdx.y) * kOutputs;
  const auto parts = static_cast<int>(halves_pitch(job.stride) / kPartInputs);
  const auto fetch_w = [&](int part) {
    if (part >= parts) return;
    fetch_weights<Storage, kThreads>(job, first_output, part, stages[part % kStages].weights);
  };
  const auto fetch_x = [&](int part) {
    if (part >= parts || threadIdx.x != 0) return;
    BulkBarrier& barrier = barriers[part % kStages];
    bulk_copy_expect(barrier, kRows / kBlockRows * kBlockBytes);
#pragma unroll
    for (int b = 0; b < kRows / kBlockRows; ++b) {
      const std::int64_t block = (first_row / kBlockRows + b) * parts + part;
      bulk_copy(stages[part % kStages].x + b * kBlockBytes,
                static_cast<const unsigned char*>(job.halves) + block * kBlockBytes, kBlockBytes,
                barrier);
    }
  };
  if (threadIdx.x == 0) {
#pragma unroll
    for (int s = 0; s < kStages; ++s) bulk_barrier_init(barriers[s]);
  }
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
  const int own = static_cast<int>(threadIdx.x / 32) * 16 + lane / 4;  // outputs own, own + 8
  float acc[kSums] = {};
  float total[kSums] = {};
  int in_slice = 0;
  for (int part = 0; part < parts; ++part) {
    copy_async_wait<kStages - 2>();
    if (threadIdx.x == 0) bulk_copy_wait(barriers[part % kStages], part / kStages % 2);
    __syncthreads();
    fetch_w(part + kStages - 1);
    fetch_x(part + kStages - 1);
    copy_async_commit();
    const auto& stage = stages[part % kStages];
    uint4 low[kPartChunks];
    uint4 high[kPartChunks];
    float scale[kPartChunks][2] = {};
#pragma unroll
    for (int c = 0; c < kPartChunks; ++c) {
      weights_of(stage.weights, part, c, own, low[c], high[c], scale[c]);
    }
    const auto multiply = [&](int c, float(&sums)[kSums], bool accumulate) {
      const unsigned char* const x = stage.x + 4 * c * kPiecePitch;
      warpgroup_multiply<kRows, kPiecePitch, kOctetPitch>(
          sums, {low[c].x, high[c].x, low[c].y, high[c].y}, x, accumulate);
      warpgroup_multiply<kRows, kPiecePitch, kOctetPitch>(
          sums, {low[c].z, high[c].z, low[c].w, high[c].w}, x + 2 * kPiecePitch, true);
    };
    if constexpr (kScaled<Storage>) {
#pragma unroll
      for (int c = 0; c < kPartChunks; ++c) {
        float products[kSums];
        warpgroup_begin();
        multiply(c, products, false);
        warpgroup_end();
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
          acc[i] = fmaf(products[i], scale[c][i / 2 % 2], acc[i]);
        }
      }
    } else {
      warpgroup_begin();
#pragma unroll
      for (int c = 0; c < kPartChunks; ++c) multiply(c, acc, true);
      warpgroup_end();
    }
    if (++in_slice < slice_parts && part + 1 < parts) continue;
    in_slice = 0;
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      total[i] += acc[i];
      acc[i] = 0;
    }
  }
  // Through shared memory, so that a warp stores consecutive outputs.
  constexpr int kPitch = kSumsPitch<kOutputs>;
  static_assert(kRows * kPitch * sizeof(float) <= sizeof stages);
  auto* const sums = block_shared_dynamic<float>();
  copy_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
    sums[(i / 4 * 8 + lane % 4 * 2 + i % 2) * kPitch + own + i / 2 % 2 * 8] = total[i];
  }
  __syncthreads();
  const int rows = static_cast<int>(min(job.rows - first_row, static_cast<std::int64_t>(kRows)));
  store_tile<kThreads, kOutputs, 8>(job, first_row, rows, first_output, sums);
#endif
}

template <typename Storage, int kGroups, int kRows, int kStages>
void launch_tile(const LinearJob& job, Stream stream) {
  constexpr std::size_t kBytes = sizeof(Shared<Storage, kGroups, kRows, kStages>);
  constexpr int kOutputs = kGroups * kGroupOutputs;
  const auto kernel = linear_wgmma_block_per_tile<Storage, kGroups, kRows, kStages>;
  allow_shared(kernel, kBytes);
  launch({.grid = {static_cast<unsigned>((job.rows + kRows - 1) / kRows),
                   static_cast<unsigned>((job.out + kOutputs - 1) / kOutputs)},
          .block = kGroups * kGroupThreads,
          .shared_bytes = kBytes,
          .stream = stream,
          .name = "linear_wgmma_block_per_tile"},
         kernel, job, slices_of(job.stride).parts);
}

/// Chooses the largest tile that leaves work for every multiprocessor, or for two thirds of them if
/// it is the one that reads least (measured on an H100).
template <typename Storage>
void launch_stored(const LinearJob& job, Stream stream) {
  const auto tiles = [&](std::int64_t outputs, std::int64_t rows) {
    return (job.out + outputs - 1) / outputs * ((job.rows + rows - 1) / rows);
  };
  const int most = multiprocessors();
  if constexpr (!kScaled<Storage>) {
    if (3 * tiles(192, 128) >= 2 * most) return launch_tile<Storage, 3, 128, 3>(job, stream);
  }
  if (tiles(128, 64) >= most) {
    launch_tile<Storage, 2, 64, 3>(job, stream);
  } else if (tiles(64, 64) >= most) {
    launch_tile<Storage, 1, 64, 4>(job, stream);
  } else {
    launch_tile<Storage, 1, 32, 6>(job, stream);
  }
}

}  // namespace

void linear_wgmma(const LinearJob& job, Stream stream) {
  if (job.dtype == DType::kF32) throw Error("linear_wgmma: the weights are in f32.");
  linear_inputs(job, InputOrder::kOperands, stream);
  const bool int8 = job.dtype == DType::kI8;
  (int8 ? launch_stored<std::uint8_t> : launch_stored<__half>)(job, stream);
}

}  // namespace aira::cuda
