// Vector vocabulary of the kernels in GCC/Clang vector extensions: four floats at a time, SSE2 on
// any x86-64, NEON on arm64. The reference for what each function of the other files means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace aira::cpu::AIRA_ISA {
namespace {

using V = float __attribute__((vector_size(16)));
using Doubles = double __attribute__((vector_size(16)));
using I = std::int32_t __attribute__((vector_size(16)));
constexpr int kWidth = 4;
#if defined(__aarch64__)
constexpr int kRegisters = 32;
#define AIRA_KEEP(v) asm("" : "+w"(v))
#else
constexpr int kRegisters = 16;
#define AIRA_KEEP(v) asm("" : "+x"(v))
#endif

inline V broadcast(float x) { return V{x, x, x, x}; }
/// Loads need no alignment; uint16_t are half-precision numbers, widened exactly.
inline V load(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline V load(const std::uint16_t* p) {
  return V{half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3])};
}
inline V load_bf16(const std::uint16_t* p) {
  const I bits{p[0] << 16, p[1] << 16, p[2] << 16, p[3] << 16};
  return reinterpret_cast<V>(bits);
}
/// Stores to uint16_t round to the nearest half, ties to even.
inline void store(float* p, V v) { std::memcpy(p, &v, sizeof v); }
inline void store(std::uint16_t* p, V v) {
  for (int i = 0; i < kWidth; ++i) p[i] = float_to_half(v[i]);
}
/// max and min give `b` when a lane of either is NaN, as the x86 instructions do.
inline V max(V a, V b) { return a > b ? a : b; }
inline V min(V a, V b) { return a < b ? a : b; }
/// a * b + c, rounded once where the machine has a fused instruction (this file's users are
/// compiled with -ffp-contract=fast).
inline V fma(V a, V b, V c) { return a * b + c; }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return a * b + c; }
/// To the nearest integer, ties to even; |v| < 2^22.
inline V round(V v) {
  const V magic = broadcast(0x1.8p23F);
  V shifted = v + magic;
  AIRA_KEEP(shifted);  // keeps the compiler from folding the two additions
  return shifted - magic;
}
/// 2^n for whole n in [-126, 127].
inline V power_of_two(V n) {
  const I exponent = __builtin_convertvector(n, I) + 127;
  return reinterpret_cast<V>(exponent << 23);
}

/// Rounded once on every machine, unlike fma.
inline V fused(V a, V b, V c) {
  V sum = c;
  for (int i = 0; i < kWidth; ++i) sum[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return sum;
}

/// The nearest whole number, ties to even; |v| < 2^22.
inline I to_int(V v) {
  AIRA_KEEP(v);  // a product that is rounded before round() adds to it
  return __builtin_convertvector(round(v), I);
}
inline V to_float(I v) { return __builtin_convertvector(v, V); }
/// Four weights for each lane, as dot4 wants them.
struct Weights {
  std::int8_t lane[kWidth][4];
};
inline Weights load_weights(const std::byte* p) {
  Weights w;
  std::memcpy(&w, p, sizeof w);
  return w;
}
/// Four inputs of -127..127, as dot4 wants them.
struct Four {
  std::int32_t input[4];
};
inline Four broadcast_four(const std::int8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
/// What a chain of dot4 begins with: zero; or `offset`, -128 times the sum of all inputs, where
/// dot4 assumes weights that are 128 larger than they are.
inline I first_sum(std::int32_t /*offset*/) { return I{}; }
/// sum + the sum of each lane's four products.
inline I dot4(I sum, const Weights& w, Four x) {
  for (int i = 0; i < kWidth; ++i) {
    sum[i] += w.lane[i][0] * x.input[0] + w.lane[i][1] * x.input[1] + w.lane[i][2] * x.input[2] +
              w.lane[i][3] * x.input[3];
  }
  return sum;
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
