// The kernels of sample_kernels.h that use shared memory, warps and barriers.
#include "sample_kernels.h"

namespace aira::cuda::sample {
namespace {

struct WarpSums {
  float sum[32];
};

template <Plant plant>
__global__ void __launch_bounds__(256) row_sums_kernel(float* out, const float* in, int n) {
  WarpSums& warps = block_shared<WarpSums>();
  const int thread = static_cast<int>(threadIdx.x);
  const int row = static_cast<int>(blockIdx.x);
  float sum = 0.0F;
  for (int i = thread; i < n; i += static_cast<int>(blockDim.x)) sum += in[row * n + i];
  sum = warp_sum(sum);
  constexpr int kPast = plant == Plant::kSharedPastEnd ? 25 : 0;
  if (thread % 32 == 0) warps.sum[thread / 32 + kPast] = sum;
  if (plant == Plant::kEarlyReturn && thread >= 200) return;
  if (plant == Plant::kDivergentBarrier) {
    if (thread < 128) __syncthreads();
    __syncthreads();
  } else if (plant == Plant::kOtherLine) {
    if (thread < 128) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  } else if (plant != Plant::kMissingBarrier) {
    __syncthreads();
  }
  if (thread >= 32) return;
  sum = warp_sum(thread < static_cast<int>(blockDim.x) / 32 ? warps.sum[thread] : 0.0F);
  if (thread == 0) out[plant == Plant::kPastEnd ? row + 1 : row] = sum;
}

struct ScanMemory {
  int warp_total[32];
};

template <Plant plant>
__global__ void __launch_bounds__(1024) scan_kernel(int* out, const int* in, int n) {
  ScanMemory& memory = block_shared<ScanMemory>();
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  int sum = thread < n ? in[thread] : 0;
  if (plant == Plant::kEndedLane && thread % 32 == 31) return;
  unsigned mask = kWholeWarp;
  if (plant == Plant::kForeignMask) mask = 0xfffffffeU;
  if (plant == Plant::kAbsentLane && lane == 7) __syncthreads();
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = plant == Plant::kEndedLane ? __shfl_xor_sync(mask, sum, distance)
                                                 : __shfl_up_sync(mask, sum, distance);
    if (lane >= distance) sum += other;
  }
  if (lane == 31) memory.warp_total[thread / 32] = sum;
  __syncthreads();
  for (int warp = 0; warp < thread / 32; ++warp) sum += memory.warp_total[warp];
  if (thread < n) out[thread] = sum;
}

__global__ void compact_kernel(int* out, int* count, const int* in, int n) {
  const unsigned lane = threadIdx.x;
  int found = 0;
  for (int begin = 0; begin < n; begin += 32) {
    const int i = begin + static_cast<int>(lane);
    const bool wanted = i < n && in[i] != 0;
    const unsigned votes = __ballot_sync(kWholeWarp, wanted);
    if (wanted) out[found + __popc(votes & ((1U << lane) - 1U))] = i;
    found += __popc(votes);
  }
  if (__any_sync(kWholeWarp, lane == 5) != 0 && lane == 0) *count = found;
}

struct Tile {
  float at[32][33];
};

template <Plant plant>
__global__ void __launch_bounds__(256)
    transpose_kernel(float* out, const float* in, int rows, int columns) {
  Tile& tile = block_shared<Tile>();
  const int x = static_cast<int>(threadIdx.x);
  const int column = static_cast<int>(blockIdx.x) * 32;
  const int row = static_cast<int>(blockIdx.y) * 32;
  for (int y = static_cast<int>(threadIdx.y); y < 32; y += 8) {
    if (row + y < rows && column + x < columns) {
      tile.at[y][x] = in[(row + y) * columns + column + x];
    }
  }
  if (plant != Plant::kMissingBarrier) __syncthreads();
  const int last = plant == Plant::kWrongTail ? rows + 1 : rows;
  for (int y = static_cast<int>(threadIdx.y); y < 32; y += 8) {
    if (column + y < columns && row + x < last) {
      out[(column + y) * rows + row + x] = tile.at[x][y];
    }
  }
}

struct Operands {
  half a[16][16];
  half b[16][8];
};

template <Plant plant>
__global__ void small_gemm_kernel(float* d, const half* a, const half* b) {
  Operands& shared = block_shared<Operands>();
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) shared.a[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) shared.b[i / 8][i % 8] = b[i];
  if (plant != Plant::kMissingWarpBarrier) __syncwarp();
  std::uint32_t a_words[4];
  std::uint32_t b_words[4];
  load_matrix_x4(a_words, &shared.a[lane % 16][lane / 16 * 8]);
  const int skew = plant == Plant::kMisaligned ? 1 : 0;
  load_matrix_x4_transposed(b_words, &shared.b[lane % 16][skew]);
  float sum[4] = {};
  mma_m16n8k16(sum, a_words, {b_words[0], b_words[1]});
  for (int i = 0; i < 4; ++i) {
    d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
  }
}

__global__ void product_kernel(float* d, const std::uint32_t* a, const std::uint32_t* b) {
  const unsigned lane = threadIdx.x;
  float sum[4];
  std::uint32_t a_words[4];
  for (int i = 0; i < 4; ++i) sum[i] = d[lane * 4 + i];
  for (int i = 0; i < 4; ++i) a_words[i] = a[lane * 4 + i];
  mma_m16n8k16(sum, a_words, {b[lane * 2], b[lane * 2 + 1]});
  for (int i = 0; i < 4; ++i) d[lane * 4 + i] = sum[i];
}

struct alignas(16) Tiles {
  std::uint16_t row[32][8];
};

__global__ void matrix_load_kernel(std::uint32_t* r, const std::uint16_t* in, bool transposed) {
  Tiles& tiles = block_shared<Tiles>();
  const unsigned lane = threadIdx.x;
  for (int i = 0; i < 8; ++i) tiles.row[lane][i] = in[lane * 8 + i];
  __syncwarp();
  std::uint32_t words[4];
  if (transposed) {
    load_matrix_x4_transposed(words, tiles.row[lane]);
  } else {
    load_matrix_x4(words, tiles.row[lane]);
  }
  for (int i = 0; i < 4; ++i) r[lane * 4 + i] = words[i];
}

__global__ void block_votes_kernel(int* out) {
  const int thread = static_cast<int>(threadIdx.x);
  const int any = __syncthreads_or(thread == 3);
  const int all = __syncthreads_and(thread != 3);
  const int count = __syncthreads_count(thread % 3 == 0);
  const unsigned same = __match_any_sync(kWholeWarp, thread % 4);
  if (thread == 0) {
    out[0] = any;
    out[1] = all;
    out[2] = count;
    out[3] = __popc(same);
  }
}

}  // namespace

void row_sums(Plant plant, float* out, const float* in, int rows, int n, cudaStream_t stream) {
  const Launch how = {
      .grid = static_cast<unsigned>(rows), .block = 256, .stream = {stream}, .name = "row_sums"};
  switch (plant) {
    case Plant::kMissingBarrier:
      return launch(how, row_sums_kernel<Plant::kMissingBarrier>, out, in, n);
    case Plant::kDivergentBarrier:
      return launch(how, row_sums_kernel<Plant::kDivergentBarrier>, out, in, n);
    case Plant::kEarlyReturn:
      return launch(how, row_sums_kernel<Plant::kEarlyReturn>, out, in, n);
    case Plant::kOtherLine:
      return launch(how, row_sums_kernel<Plant::kOtherLine>, out, in, n);
    case Plant::kPastEnd:
      return launch(how, row_sums_kernel<Plant::kPastEnd>, out, in, n);
    case Plant::kSharedPastEnd:
      return launch(how, row_sums_kernel<Plant::kSharedPastEnd>, out, in, n);
    default:
      return launch(how, row_sums_kernel<Plant::kNothing>, out, in, n);
  }
}

void scan(Plant plant, int* out, const int* in, int n) {
  const Launch how = {.block = static_cast<unsigned>(n + 31) / 32 * 32, .name = "scan"};
  switch (plant) {
    case Plant::kForeignMask:
      return launch(how, scan_kernel<Plant::kForeignMask>, out, in, n);
    case Plant::kAbsentLane:
      return launch(how, scan_kernel<Plant::kAbsentLane>, out, in, n);
    case Plant::kEndedLane:
      return launch(how, scan_kernel<Plant::kEndedLane>, out, in, n);
    default:
      return launch(how, scan_kernel<Plant::kNothing>, out, in, n);
  }
}

void compact(int* out, int* count, const int* in, int n) {
  launch({.block = 32, .name = "compact"}, compact_kernel, out, count, in, n);
}

void transpose(Plant plant, float* out, const float* in, int rows, int columns) {
  const Launch how = {
      .grid = {static_cast<unsigned>(columns + 31) / 32, static_cast<unsigned>(rows + 31) / 32},
      .block = {32, 8},
      .name = "transpose"};
  switch (plant) {
    case Plant::kMissingBarrier:
      return launch(how, transpose_kernel<Plant::kMissingBarrier>, out, in, rows, columns);
    case Plant::kWrongTail:
      return launch(how, transpose_kernel<Plant::kWrongTail>, out, in, rows, columns);
    default:
      return launch(how, transpose_kernel<Plant::kNothing>, out, in, rows, columns);
  }
}

void product(float* d, const std::uint32_t* a, const std::uint32_t* b) {
  launch({.block = 32, .name = "product"}, product_kernel, d, a, b);
}

void matrix_load(std::uint32_t* r, const std::uint16_t* in, bool transposed) {
  launch({.block = 32, .name = "matrix_load"}, matrix_load_kernel, r, in, transposed);
}

void small_gemm(Plant plant, float* d, const half* a, const half* b) {
  const Launch how = {.block = 32, .name = "small_gemm"};
  switch (plant) {
    case Plant::kMissingWarpBarrier:
      return launch(how, small_gemm_kernel<Plant::kMissingWarpBarrier>, d, a, b);
    case Plant::kMisaligned:
      return launch(how, small_gemm_kernel<Plant::kMisaligned>, d, a, b);
    default:
      return launch(how, small_gemm_kernel<Plant::kNothing>, d, a, b);
  }
}

void block_votes(int* out, int threads) {
  launch({.block = static_cast<unsigned>(threads), .name = "block_votes"}, block_votes_kernel, out);
}

}  // namespace aira::cuda::sample
