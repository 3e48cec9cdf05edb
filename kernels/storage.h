// Loads, stores and conversions of the storage types f32 and f16, four or eight numbers at a time,
// and of int8 weights.
#pragma once

#include <cstring>

#include "kernels/device.h"

namespace aira::cuda {

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ void from_float(float x, float& out) { out = x; }
__device__ __forceinline__ void from_float(float x, __half& out) { out = __float2half_rn(x); }

__device__ __forceinline__ unsigned pack_halves(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  unsigned bits = 0;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

__device__ __forceinline__ float bfloat_to_float(unsigned bits) {
  return __uint_as_float(bits << 16U);
}

/// Where the scales of an int8 matrix [out, stride] begin.
__device__ __forceinline__ const std::uint16_t* scales_of(const void* matrix, std::int64_t out,
                                                          std::int64_t stride) {
  return reinterpret_cast<const std::uint16_t*>(static_cast<const std::uint8_t*>(matrix) +
                                                out * stride);
}

/// Eight weights in int8 as halves, without their scale.
__device__ __forceinline__ uint4 int8_to_halves(const uint2& bytes) {
  // The half 1024 + n has n in its low byte, 0 <= n < 256.
  const auto two = [](unsigned word, unsigned selector) {
    const unsigned bits = __byte_perm(word, 0x64646464U, selector);
    __half2 pair;
    memcpy(&pair, &bits, sizeof pair);
    pair = __hsub2(pair, __float2half2_rn(1024 + 128));
    unsigned result = 0;
    memcpy(&result, &pair, sizeof result);
    return result;
  };
  return make_uint4(two(bytes.x, 0x4140), two(bytes.x, 0x4342), two(bytes.y, 0x4140),
                    two(bytes.y, 0x4342));
}

/// Eight numbers in their storage type; on a 16-byte boundary in memory.
template <typename Storage>
struct Piece {
  uint4 bits[sizeof(Storage) / 2];
};
template <typename Storage>
__device__ __forceinline__ Piece<Storage> load_piece(const Storage* from) {
  Piece<Storage> piece;
#pragma unroll
  for (unsigned i = 0; i < sizeof(Storage) / 2; ++i) {
    piece.bits[i] = reinterpret_cast<const uint4*>(from)[i];
  }
  return piece;
}
template <typename Storage>
__device__ __forceinline__ void store_piece(const Piece<Storage>& piece, Storage* to) {
#pragma unroll
  for (unsigned i = 0; i < sizeof(Storage) / 2; ++i) {
    reinterpret_cast<uint4*>(to)[i] = piece.bits[i];
  }
}
__device__ __forceinline__ void unpack(const Piece<__half>& piece, float (&out)[8]) {
  const uint4& bits = piece.bits[0];
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = __half2float(__ushort_as_half(static_cast<unsigned short>(words[i] & 0xffffU)));
    out[2 * i + 1] = __half2float(__ushort_as_half(static_cast<unsigned short>(words[i] >> 16U)));
  }
}
__device__ __forceinline__ void unpack(const Piece<float>& piece, float (&out)[8]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint4& bits = piece.bits[i];
    out[4 * i] = __uint_as_float(bits.x), out[4 * i + 1] = __uint_as_float(bits.y);
    out[4 * i + 2] = __uint_as_float(bits.z), out[4 * i + 3] = __uint_as_float(bits.w);
  }
}
/// x, rounded to the type.
__device__ __forceinline__ void pack(const float (&x)[8], Piece<__half>& out) {
  out.bits[0] = make_uint4(pack_halves(x[0], x[1]), pack_halves(x[2], x[3]),
                           pack_halves(x[4], x[5]), pack_halves(x[6], x[7]));
}
__device__ __forceinline__ void pack(const float (&x)[8], Piece<float>& out) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    out.bits[i] = make_uint4(__float_as_uint(x[4 * i]), __float_as_uint(x[4 * i + 1]),
                             __float_as_uint(x[4 * i + 2]), __float_as_uint(x[4 * i + 3]));
  }
}

}  // namespace aira::cuda
