// Vector vocabulary of the kernels on AVX-512F: sixteen floats at a time. See portable.h for what
// each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace aira::cpu::AIRA_ISA {
namespace {

using V = __m512;
using Doubles = __m512d;
constexpr int kWidth = 16;
constexpr int kRegisters = 32;

inline V broadcast(float x) { return _mm512_set1_ps(x); }
inline V load(const float* p) { return _mm512_loadu_ps(p); }
inline V load(const std::uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline V load_bf16(const std::uint16_t* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
inline void store(std::uint16_t* p, V v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline V max(V a, V b) { return _mm512_max_ps(a, b); }
inline V min(V a, V b) { return _mm512_min_ps(a, b); }
inline V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }
inline V round(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
inline V power_of_two(V n) { return _mm512_scalef_ps(_mm512_set1_ps(1.0F), n); }

inline V fused(V a, V b, V c) { return fma(a, b, c); }

using I = __m512i;
inline I to_int(V v) { return _mm512_cvtps_epi32(v); }
inline V to_float(I v) { return _mm512_cvtepi32_ps(v); }
/// The four bytes at `p`, in each lane.
inline I repeat_four(const std::int8_t* p) {
  std::int32_t four = 0;
  std::memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}
using Weights = I;
#if defined(__AVX512VNNI__)
/// VPDPBUSD multiplies unsigned by signed: weights are made 128 larger.
inline Weights load_weights(const std::byte* p) {
  return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
}
using Four = I;
inline Four broadcast_four(const std::int8_t* p) { return repeat_four(p); }
inline I first_sum(std::int32_t offset) { return _mm512_set1_epi32(offset); }
inline I dot4(I sum, Weights w, Four x) { return _mm512_dpbusd_epi32(sum, w, x); }
#else
inline Weights load_weights(const std::byte* p) { return _mm512_loadu_si512(p); }
/// As in avx2.h.
struct Four {
  __mmask64 negative;
  I magnitudes;
};
inline Four broadcast_four(const std::int8_t* p) {
  const I inputs = repeat_four(p);
  return {_mm512_movepi8_mask(inputs), _mm512_abs_epi8(inputs)};
}
inline I first_sum(std::int32_t /*offset*/) { return _mm512_setzero_si512(); }
inline I dot4(I sum, Weights w, Four x) {
  const I sign = _mm512_mask_sub_epi8(w, x.negative, _mm512_setzero_si512(), w);
  const I pairs = _mm512_maddubs_epi16(x.magnitudes, sign);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}
#endif

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
