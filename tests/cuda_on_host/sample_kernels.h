// Small kernels that test the shim, each with the mistakes that it must notice. `Plant` chooses
// one; kNothing is the right kernel. All pointers are device memory.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace aira::cuda::sample {

enum class Plant : std::uint8_t {
  kNothing,
  kMissingBarrier,
  kMissingWarpBarrier,
  kDivergentBarrier,
  kEarlyReturn,  // before a barrier
  kOtherLine,    // half of the threads use another barrier
  kPastEnd,
  kReadPastEnd,
  kSharedPastEnd,
  kWrongTail,
  kMissingCommit,
  kMissingCopyWait,
  kMissingGridWait,
  kMissingFence,
  kPlainCounter,
  kForeignMask,  // a mask without the calling lane
  kAbsentLane,   // a mask with a lane that does not come
  kEndedLane,    // a shuffle from a lane that has ended
  kMisaligned,
};

/// out[b] = sum of in[b * n .. b * n + n).
void row_sums(Plant plant, float* out, const float* in, int rows, int n, cudaStream_t stream);
/// out[i] = in[0] + ... + in[i], i < n <= 1024, in one block.
void scan(Plant plant, int* out, const int* in, int n);
/// The indices i < n with in[i] != 0, ascending; *count of them. One warp.
void compact(int* out, int* count, const int* in, int n);
/// out[x][y] = in[y][x], in is [rows, columns].
void transpose(Plant plant, float* out, const float* in, int rows, int columns);
/// d[lane][4] += product of the fragments a[lane][4] and b[lane][2].
void product(float* d, const std::uint32_t* a, const std::uint32_t* b);
/// r[lane][4]: load_matrix_x4 of in, [32][8] halves.
void matrix_load(std::uint32_t* r, const std::uint16_t* in, bool transposed);
/// d [16, 8] = a [16, 16] b [16, 8], halves, through shared memory.
void small_gemm(Plant plant, float* d, const half* a, const half* b);
/// out[t] = sum over stages s < stages of in[s][t], t < 512, fetched two stages ahead.
void pipelined_sum(Plant plant, float* out, const float* in, int stages);
/// *out = sum of in[0..n), by the block that ends last; partial is [blocks], *counter is 0 before
/// and after.
void grid_sum(Plant plant, float* out, float* partial, unsigned* counter, const float* in, int n);
/// out[i] = in[i] + 1, then the next kernel in the stream, launched early: out[i] *= 2.
void add_one_then_double(Plant plant, float* out, const float* in, int n, cudaStream_t stream);
/// One step of a loop that a graph repeats: history[*position] = *token; *token = next[*token];
/// ++*position.
void step(int* token, int* position, int* history, const int* next, cudaStream_t stream);
/// out[i] = in[i] for i < n, four at a time.
void copy_by_four(Plant plant, float* out, const float* in, int n);
/// order[k] = the number in the grid of the thread that came k-th; *ticket is 0 before.
void arrivals(int* order, int* ticket, int blocks, int threads);
/// Counts how often threads of a block met; exercises the votes. out is [4].
void block_votes(int* out, int threads);
/// out[i] = in[i] rounded to half, to bfloat16.
void round_numbers(std::uint16_t* halves, std::uint16_t* bfloats, const float* in, int n);

}  // namespace aira::cuda::sample
