// Scores as integers that compare in the same order; together with a token's number, no two are
// equal.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace aira::cuda {

using Wide = unsigned long long;

/// Floats as integers in the same order; both zeros are equal, NaN is the greatest.
constexpr unsigned kKeyOfNan = 0xffffffffU;
constexpr unsigned kKeyOfInfinity = 0xff800000U;
constexpr unsigned kKeyOfMinusInfinity = 0x007fffffU;
__device__ __forceinline__ unsigned key_of(float score) {
  if (score != score) return kKeyOfNan;
  const unsigned bits = __float_as_uint(score + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ __forceinline__ float score_of(unsigned key) {
  return __uint_as_float((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}
/// The key first, then the lower number first.
__device__ __forceinline__ Wide ranked(unsigned key, std::int64_t number) {
  return static_cast<Wide>(key) << 32U | (0xffffffffU - static_cast<unsigned>(number));
}
__device__ __forceinline__ unsigned key_in(Wide rank) { return static_cast<unsigned>(rank >> 32U); }
__device__ __forceinline__ std::int32_t number_in(Wide rank) {
  return static_cast<std::int32_t>(0xffffffffU - static_cast<unsigned>(rank & 0xffffffffU));
}

/// The number of the block's keys (kOwn per thread, kWarps warps) that are at least `least`.
/// `counts` is shared memory; consecutive calls must alternate between two arrays.
template <int kOwn, int kWarps>
__device__ __forceinline__ unsigned count_from(const unsigned (&keys)[kOwn], unsigned least,
                                               unsigned (&counts)[kWarps]) {
  unsigned mine = 0;
#pragma unroll
  for (const unsigned key : keys) mine += __popc(__ballot_sync(kWholeWarp, key >= least));
  if (threadIdx.x % 32 == 0) counts[threadIdx.x / 32] = mine;
  __syncthreads();
  unsigned all = 0;
#pragma unroll
  for (const unsigned count : counts) all += count;
  return all;
}

/// The k-th greatest key, or a lower number with no key in between.
template <int kOwn, int kWarps>
__device__ __forceinline__ unsigned find_least(const unsigned (&keys)[kOwn], unsigned k,
                                               unsigned (&counts)[2][kWarps]) {
  unsigned least = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const unsigned higher = least | 1U << bit;
    const unsigned count = count_from(keys, higher, counts[bit % 2]);
    if (count >= k) least = higher;
    if (count == k) break;
  }
  return least;
}

/// Sorts `n` distinct ranks in descending order: the place of each is the number of greater ones.
__device__ __forceinline__ void sort_ranks(const Wide* from, unsigned n, Wide* to) {
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) {
    const Wide mine = from[i];
    unsigned place = 0;
#pragma unroll 8
    for (unsigned j = 0; j < n; ++j) place += from[j] > mine ? 1 : 0;
    to[place] = mine;
  }
  __syncthreads();
}

}  // namespace aira::cuda
