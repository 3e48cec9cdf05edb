// Vector vocabulary of the kernels on AVX2 + FMA + F16C, with or without AVX-VNNI: eight floats at
// a time. See portable.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace aira::cpu::AIRA_ISA {
namespace {

using V = __m256;
using Doubles = __m256d;
constexpr int kWidth = 8;
constexpr int kRegisters = 16;

inline V broadcast(float x) { return _mm256_set1_ps(x); }
inline V load(const float* p) { return _mm256_loadu_ps(p); }
inline V load(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline V load_bf16(const std::uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline void store(float* p, V v) { _mm256_storeu_ps(p, v); }
inline void store(std::uint16_t* p, V v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline V max(V a, V b) { return _mm256_max_ps(a, b); }
inline V min(V a, V b) { return _mm256_min_ps(a, b); }
inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }
inline V round(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline V power_of_two(V n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

inline V fused(V a, V b, V c) { return fma(a, b, c); }

using I = __m256i;
inline I to_int(V v) { return _mm256_cvtps_epi32(v); }
inline V to_float(I v) { return _mm256_cvtepi32_ps(v); }
/// The four bytes at `p`, in each lane.
inline I repeat_four(const std::int8_t* p) {
  std::int32_t four = 0;
  std::memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}
using Weights = I;
#if defined(__AVXVNNI__)
/// As in avx512.h.
inline Weights load_weights(const std::byte* p) {
  return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                          _mm256_set1_epi8(-128));
}
using Four = I;
inline Four broadcast_four(const std::int8_t* p) { return repeat_four(p); }
inline I first_sum(std::int32_t offset) { return _mm256_set1_epi32(offset); }
inline I dot4(I sum, Weights w, Four x) { return _mm256_dpbusd_avx_epi32(sum, w, x); }
#else
inline Weights load_weights(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
/// VPMADDUBSW multiplies unsigned by signed: the inputs' signs go to the weights. With magnitudes
/// of at most 127 its sums of two products stay within 16 bits.
struct Four {
  I inputs;
  I magnitudes;
};
inline Four broadcast_four(const std::int8_t* p) {
  const I inputs = repeat_four(p);
  return {inputs, _mm256_abs_epi8(inputs)};
}
inline I first_sum(std::int32_t /*offset*/) { return _mm256_setzero_si256(); }
inline I dot4(I sum, Weights w, Four x) {
  const I pairs = _mm256_maddubs_epi16(x.magnitudes, _mm256_sign_epi8(w, x.inputs));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
