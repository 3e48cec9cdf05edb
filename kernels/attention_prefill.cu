// softmax(q k^T * scale) v for groups of up to 64 consecutive rows of one sequence, on tensor cores
// (FlashAttention-2: Dao, arXiv 2307.08691).
//
// One block per group and head; each of its four warps owns 16 rows and keeps their running
// maximum, sum and weighted values in registers while the block walks over the keys in tiles in
// shared memory. The product of the first matrix multiplication has the layout that the second
// wants as its left side, so weights never leave the registers. Queries are rounded to f16 as the
// cache is; sums and the softmax are f32. Rows beyond the group and features beyond the head are
// zeros.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kWarpRows = 16;
static_assert(kWarps * kWarpRows == kGroupRows);
constexpr float kNothing = -1e30F;

/// Halves between two rows in shared memory: 16 bytes more than a row, so that the eight rows of a
/// load_matrix tile lie in different banks.
template <int kHead>
constexpr int kPitch = kHead + 8;

template <int kHead, int kKeys>
struct PrefillTile {
  alignas(16) __half keys[kKeys][kPitch<kHead>];
  alignas(16) __half values[kKeys][kPitch<kHead>];
};
template <int kHead, int kKeys>
struct PrefillShared {
  alignas(16) __half queries[kGroupRows][kPitch<kHead>];
  PrefillTile<kHead, kKeys> tiles[2];  // one arrives while the other is used
};

/// Keys and values [first, first + kKeys) of a slot into shared memory; zeros beyond `end` and
/// beyond the head.
template <int kHead, int kKeys>
__device__ __forceinline__ void fetch_tile(const AttentionJob& job, std::int64_t slot,
                                           std::int64_t head, std::int64_t first, std::int64_t end,
                                           PrefillTile<kHead, kKeys>& tile) {
  constexpr int kPieces = kHead / 8;
  const std::int64_t padded = padded_head(job.head_size);
  for (int i = static_cast<int>(threadIdx.x); i < kKeys * kPieces; i += kWarps * 32) {
    const int key = i / kPieces;
    const int feature = i % kPieces * 8;
    __half* to_key = &tile.keys[key][feature];
    __half* to_value = &tile.values[key][feature];
    if (first + key < end && feature < padded) {
      const std::int64_t from =
          cell_in(job, page_of(job.pages, slot, first + key), head, first + key) + feature;
      copy_async_16(to_key, static_cast<const __half*>(job.keys) + from);
      copy_async_16(to_value, static_cast<const __half*>(job.values) + from);
    } else {
      *reinterpret_cast<uint4*>(to_key) = make_uint4(0, 0, 0, 0);
      *reinterpret_cast<uint4*>(to_value) = make_uint4(0, 0, 0, 0);
    }
  }
}

/// What a warp keeps: lane L has rows L / 4 and L / 4 + 8 of the warp's 16.
template <int kHead>
struct RowState {
  float maximum[2] = {kNothing, kNothing};
  float sum[2] = {0, 0};  // of this lane's columns only, until the end
  float value[kHead / 8][4] = {};
};

/// scores = q k^T * scale for the warp's rows and all keys of the tile.
template <int kHead, int kKeys>
__device__ __forceinline__ void score_tile(const __half (&queries)[kGroupRows][kPitch<kHead>],
                                           const PrefillTile<kHead, kKeys>& tile, float scale,
                                           float (&scores)[kKeys / 8][4]) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned row = threadIdx.x / 32 * kWarpRows + lane % 16;
#pragma unroll
  for (int k = 0; k < kHead; k += 16) {
    std::uint32_t a[4];
    load_matrix_x4(a, &queries[row][k + lane / 16 * 8]);
#pragma unroll
    for (int n = 0; n < kKeys; n += 16) {
      std::uint32_t b[4];
      load_matrix_x4(b, &tile.keys[n + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
      mma_m16n8k16(scores[n / 8], a, {b[0], b[1]});
      mma_m16n8k16(scores[n / 8 + 1], a, {b[2], b[3]});
    }
  }
#pragma unroll
  for (auto& eight : scores) {
    for (float& score : eight) score *= scale;
  }
}

/// Turns scores into weights relative to the new maximum and shrinks what was summed before.
template <int kHead, int kKeys>
__device__ __forceinline__ void soften(float (&scores)[kKeys / 8][4], RowState<kHead>& state) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float maximum = state.maximum[half];
#pragma unroll
    for (auto& tile : scores) {
      maximum = fmaxf(maximum, fmaxf(tile[2 * half], tile[2 * half + 1]));
    }
    // The four lanes of a row.
    maximum = fmaxf(maximum, __shfl_xor_sync(kWholeWarp, maximum, 1));
    maximum = fmaxf(maximum, __shfl_xor_sync(kWholeWarp, maximum, 2));
    const float shrink = __expf(state.maximum[half] - maximum);
    state.maximum[half] = maximum;
    state.sum[half] *= shrink;
#pragma unroll
    for (auto& tile : state.value) {
      tile[2 * half] *= shrink;
      tile[2 * half + 1] *= shrink;
    }
#pragma unroll
    for (auto& tile : scores) {
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        tile[i] = tile[i] <= kNothing ? 0.0F : __expf(tile[i] - maximum);
        state.sum[half] += tile[i];
      }
    }
  }
}

/// state.value += weights v.
template <int kHead, int kKeys>
__device__ __forceinline__ void weigh_tile(const PrefillTile<kHead, kKeys>& tile,
                                           const float (&weights)[kKeys / 8][4],
                                           RowState<kHead>& state) {
  const unsigned lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < kKeys; k += 16) {
    const auto& low = weights[k / 8];
    const auto& high = weights[k / 8 + 1];
    const std::uint32_t a[4] = {pack_halves(low[0], low[1]), pack_halves(low[2], low[3]),
                                pack_halves(high[0], high[1]), pack_halves(high[2], high[3])};
#pragma unroll
    for (int n = 0; n < kHead; n += 16) {
      std::uint32_t b[4];
      load_matrix_x4_transposed(b,
                                &tile.values[k + lane / 8 % 2 * 8 + lane % 8][n + lane / 16 * 8]);
      mma_m16n8k16(state.value[n / 8], a, {b[0], b[1]});
      mma_m16n8k16(state.value[n / 8 + 1], a, {b[2], b[3]});
    }
  }
}

template <int kHead>
__device__ __forceinline__ void write_rows(const AttentionJob& job, const RowGroup& group,
                                           std::int64_t head, RowState<kHead>& state) {
  const unsigned lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = state.sum[half];
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    const auto row = static_cast<std::int64_t>(threadIdx.x / 32 * kWarpRows + lane / 4 + 8 * half);
    if (row >= group.rows) continue;
    float* out = job.out + ((group.first_row + row) * job.heads + head) * job.head_size;
#pragma unroll
    for (int n = 0; n < kHead / 8; ++n) {
      for (int i = 0; i < 2; ++i) {
        const std::int64_t feature = n * 8 + lane % 4 * 2 + i;
        if (feature < job.head_size) out[feature] = state.value[n][2 * half + i] / sum;
      }
    }
  }
}

template <int kHead, int kKeys>
__global__ void __launch_bounds__(kWarps * 32) prefill_block_per_group(AttentionJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  auto& shared = block_shared<PrefillShared<kHead, kKeys>>();
  const RowGroup group = job.groups[blockIdx.x];
  const auto head = static_cast<std::int64_t>(blockIdx.y);
  const std::int64_t width = job.heads * job.head_size;
#pragma unroll 16
  for (int i = static_cast<int>(threadIdx.x); i < kGroupRows * kHead; i += kWarps * 32) {
    const int row = i / kHead;
    const int feature = i % kHead;
    const bool there = row < group.rows && feature < job.head_size;
    const float* query = job.qkv + static_cast<std::int64_t>(group.first_row + row) * 3 * width +
                         head * job.head_size;
    shared.queries[row][feature] = __float2half_rn(there ? query[feature] : 0.0F);
  }

  RowState<kHead> state;
  const unsigned lane = threadIdx.x % 32;
  const std::int64_t end = group.position + group.rows;  // keys that the last row sees
  fetch_tile<kHead, kKeys>(job, group.slot, head, 0, end, shared.tiles[0]);
  copy_async_commit();
  int buffer = 0;
  for (std::int64_t first = 0; first < end; first += kKeys) {
    const PrefillTile<kHead, kKeys>& tile = shared.tiles[buffer];
    buffer = 1 - buffer;
    if (first + kKeys < end) {
      fetch_tile<kHead, kKeys>(job, group.slot, head, first + kKeys, end, shared.tiles[buffer]);
    }
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    float scores[kKeys / 8][4] = {};
    score_tile<kHead, kKeys>(shared.queries, tile, job.scale, scores);
    // A row sees the keys up to its own position.
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      for (int i = 0; i < 4; ++i) {
        const std::int64_t key = first + n * 8 + lane % 4 * 2 + i % 2;
        const std::int64_t row = threadIdx.x / 32 * kWarpRows + lane / 4 + i / 2 * 8;
        if (key > group.position + row) scores[n][i] = kNothing;
      }
    }
    soften<kHead, kKeys>(scores, state);
    weigh_tile<kHead, kKeys>(tile, scores, state);
    __syncthreads();
  }
  write_rows<kHead>(job, group, head, state);
}

template <int kHead, int kKeys>
void launch_head(const AttentionJob& job, Stream stream) {
  launch({.grid = {static_cast<unsigned>(job.group_count), static_cast<unsigned>(job.heads)},
          .block = kWarps * 32,
          .stream = stream,
          .name = "prefill_block_per_group"},
         prefill_block_per_group<kHead, kKeys>, job);
}

}  // namespace

void attention_prefill(const AttentionJob& job, Stream stream) {
  if (job.dtype != DType::kF16) throw Error("attention_prefill: the cache is not in f16.");
  if (job.head_size <= 16) {
    launch_head<16, 64>(job, stream);
  } else if (job.head_size <= 32) {
    launch_head<32, 64>(job, stream);
  } else if (job.head_size <= 64) {
    launch_head<64, 64>(job, stream);
  } else if (job.head_size <= kLargestHead) {
    launch_head<128, 16>(job, stream);
  } else {
    throw Error("attention_prefill: the head is too large.");
  }
}

}  // namespace aira::cuda
