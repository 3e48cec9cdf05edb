// __half and __nv_bfloat16: 16-bit storage, conversions that round to nearest, ties to even, bit
// for bit as a GPU does, and arithmetic that rounds once. Pairs are in half2.h.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace cuda_on_host {

inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) {  // infinity, NaN
    return std::bit_cast<float>(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13));
  }
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;  // exact
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

/// Rounds once, from double, so that a float's result and an fma's both come out right.
inline std::uint16_t to_half(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 48 & 0x8000U);
  if (std::isnan(value)) return 0x7fffU;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) return static_cast<std::uint16_t>(sign | 0x7c00U);
  // Adding a number whose last bit has the weight of the half's last bit rounds to that.
  const int exponent = static_cast<int>(std::bit_cast<std::uint64_t>(magnitude) >> 52) - 1023;
  const int last = (exponent < -14 ? -14 : exponent) - 10;
  const auto unit = std::bit_cast<double>(static_cast<std::uint64_t>(last + 52 + 1023) << 52);
  const double rounded = (magnitude + unit) - unit;
  const double units =
      rounded * std::bit_cast<double>(static_cast<std::uint64_t>(1023 - last) << 52);
  const auto count = static_cast<std::uint32_t>(units);  // of the last bit's weight; up to 2048
  const auto base = static_cast<std::uint32_t>(last + 24) << 10;
  return static_cast<std::uint16_t>(sign | (base + count));
}

inline float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

inline std::uint16_t to_bfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return 0x7fffU;
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace cuda_on_host

struct __half {
  std::uint16_t bits;
  __half() = default;
  __half(float value) : bits(cuda_on_host::to_half(value)) {}
  __half(double value) : bits(cuda_on_host::to_half(value)) {}
  __half(int value) : bits(cuda_on_host::to_half(value)) {}
  operator float() const { return cuda_on_host::half_to_float(bits); }
};
using half = __half;

struct __nv_bfloat16 {
  std::uint16_t bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float value) : bits(cuda_on_host::to_bfloat(value)) {}
  operator float() const { return cuda_on_host::bfloat_to_float(bits); }
};
using nv_bfloat16 = __nv_bfloat16;

inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline __half __double2half(double x) { return x; }
inline float __half2float(__half x) { return x; }
inline __half __int2half_rn(int x) { return x; }
inline std::uint16_t __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(std::uint16_t bits) { return std::bit_cast<__half>(bits); }
inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline std::uint16_t __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(std::uint16_t bits) {
  return std::bit_cast<__nv_bfloat16>(bits);
}

// A float holds the exact sum or product closely enough that the second rounding changes nothing
// (24 >= 2 * 11 + 2 bits); for fma a double does.
#define AIRA_HALF_ARITHMETIC(type)                                                   \
  inline type __hadd(type a, type b) { return type(float{a} + float{b}); }           \
  inline type __hsub(type a, type b) { return type(float{a} - float{b}); }           \
  inline type __hmul(type a, type b) { return type(float{a} * float{b}); }           \
  inline type __hdiv(type a, type b) { return type(float{a} / float{b}); }           \
  inline type __hneg(type a) { return type(-float{a}); }                             \
  inline type __habs(type a) { return type(std::fabs(float{a})); }                   \
  inline type __hmax(type a, type b) { return type(std::fmax(float{a}, float{b})); } \
  inline type __hmin(type a, type b) { return type(std::fmin(float{a}, float{b})); } \
  inline bool __hlt(type a, type b) { return float{a} < float{b}; }                  \
  inline bool __hgt(type a, type b) { return float{a} > float{b}; }                  \
  inline bool __heq(type a, type b) { return float{a} == float{b}; }                 \
  inline bool __hisnan(type a) { return std::isnan(float{a}); }                      \
  inline type operator+(type a, type b) { return __hadd(a, b); }                     \
  inline type operator-(type a, type b) { return __hsub(a, b); }                     \
  inline type operator*(type a, type b) { return __hmul(a, b); }                     \
  inline type operator/(type a, type b) { return __hdiv(a, b); }                     \
  inline type& operator+=(type& a, type b) { return a = __hadd(a, b); }              \
  inline type& operator*=(type& a, type b) { return a = __hmul(a, b); }
AIRA_HALF_ARITHMETIC(__half)
AIRA_HALF_ARITHMETIC(__nv_bfloat16)
#undef AIRA_HALF_ARITHMETIC

inline __half __hfma(__half a, __half b, __half c) {
  return std::fma(double{float{a}}, double{float{b}}, double{float{c}});
}
