// Reading and writing the two storage types, f32 and f16, eight or four numbers at a time.
#pragma once

#include <cstring>

#include "kernels/device.h"

#if defined(__CUDACC__) || defined(AIRA_CUDA_ON_HOST)

namespace aira::cuda {

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ void from_float(float x, float& out) { out = x; }
__device__ __forceinline__ void from_float(float x, __half& out) { out = __float2half_rn(x); }

/// The two halves of a word, the lower first.
__device__ __forceinline__ float2 halves(unsigned bits) {
  return make_float2(__half2float(__ushort_as_half(static_cast<unsigned short>(bits & 0xffffU))),
                     __half2float(__ushort_as_half(static_cast<unsigned short>(bits >> 16U))));
}
__device__ __forceinline__ unsigned pack_halves(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  unsigned bits = 0;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

/// 16 bytes as numbers: eight halves or four floats.
__device__ __forceinline__ void unpack(const uint4& bits, float (&out)[8]) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = halves(words[i]);
    out[2 * i] = pair.x;
    out[2 * i + 1] = pair.y;
  }
}
__device__ __forceinline__ void unpack(const uint4& bits, float (&out)[4]) {
  out[0] = __uint_as_float(bits.x);
  out[1] = __uint_as_float(bits.y);
  out[2] = __uint_as_float(bits.z);
  out[3] = __uint_as_float(bits.w);
}

/// Eight numbers from a 16-byte boundary.
__device__ __forceinline__ void load_8(const __half* from, float (&out)[8]) {
  unpack(*reinterpret_cast<const uint4*>(from), out);
}
__device__ __forceinline__ void load_8(const float* from, float (&out)[8]) {
  const float4 low = *reinterpret_cast<const float4*>(from);
  const float4 high = *reinterpret_cast<const float4*>(from + 4);
  out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
  out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

}  // namespace aira::cuda

#endif
