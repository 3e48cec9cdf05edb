// The logarithm of a sum of exponentials, computed part by part: what a softmax divides by.
#pragma once

#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/ranks.h"

namespace aira::cuda {

/// ExpSum of kCount numbers in shared memory; the same in every thread. All kThreads threads must
/// call. `of_warp` is shared memory.
template <int kThreads, int kCount>
__device__ __forceinline__ ExpSum exp_sum(const float (&numbers)[kCount],
                                          float (&of_warp)[2][kThreads / 32]) {
  const unsigned warp = threadIdx.x / 32;
  float maximum = score_of(kKeyOfMinusInfinity);
#pragma unroll
  for (int i = 0; i < kCount; i += kThreads) maximum = fmaxf(maximum, numbers[i + threadIdx.x]);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    maximum = fmaxf(maximum, __shfl_xor_sync(kWholeWarp, maximum, distance));
  }
  if (threadIdx.x % 32 == 0) of_warp[0][warp] = maximum;
  __syncthreads();
  for (const float other : of_warp[0]) maximum = fmaxf(maximum, other);
  const float finite = fmaxf(maximum, -3.4e38F);  // -infinity minus itself is no number
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kCount; i += kThreads) sum += expf(numbers[i + threadIdx.x] - finite);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) of_warp[1][warp] = sum;
  __syncthreads();
  sum = 0;
  for (const float other : of_warp[1]) sum += other;
  return {maximum, sum};
}

/// The logarithm of the sum over at most 32 parts, in every lane. All 32 lanes must call.
__device__ __forceinline__ float log_sum(const ExpSum* parts, std::int64_t count) {
  const std::int64_t lane = threadIdx.x % 32;
  const ExpSum part = lane < count ? parts[lane] : ExpSum{score_of(kKeyOfMinusInfinity), 0};
  float maximum = part.maximum;
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    maximum = fmaxf(maximum, __shfl_xor_sync(kWholeWarp, maximum, distance));
  }
  return maximum + logf(warp_sum(part.sum * expf(part.maximum - maximum)));
}

}  // namespace aira::cuda
