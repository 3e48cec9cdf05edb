// Loads, stores and conversions of the storage types f32 and f16, four or eight numbers at a time.
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
