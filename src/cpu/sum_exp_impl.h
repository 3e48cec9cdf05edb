// The sum of exponentials in double precision, for log-softmax.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

using Singles = float __attribute__((vector_size(sizeof(V) / 2)));
using Integers = std::int64_t __attribute__((vector_size(sizeof(V))));
constexpr std::int64_t kDoubles = sizeof(V) / sizeof(double);

/// e^x with a relative error below 1e-15; 0 below e^-708, infinity above e^709; NaN stays NaN.
inline Doubles exp_double(Doubles x) {
  // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts keeps r exact (Cody and Waite). Adding
  // the magic number rounds to an integer and leaves it in the low bits.
  constexpr double kMagic = 0x1.8p52;
  const Doubles inside = x < -708.0 ? Doubles{} - 708.0 : x;
  const Doubles shifted = fma(inside, Doubles{} + 0x1.71547652b82fep0, Doubles{} + kMagic);
  const Doubles n = shifted - kMagic;
  Doubles r = fma(n, Doubles{} - 0x1.62e42fee00000p-1, inside);
  r = fma(n, Doubles{} - 0x1.a39ef35793c76p-33, r);
  // Taylor: r^13 / 13! is below 2e-16.
  constexpr double kFactorials[] = {39916800, 3628800, 362880, 40320, 5040, 720,
                                    120,      24,      6,      2,     1,    1};
  Doubles p = Doubles{} + 1.0 / 479001600;
  for (const double factorial : kFactorials) p = fma(p, r, Doubles{} + 1.0 / factorial);
  const Integers exponent = (reinterpret_cast<Integers>(shifted) + 1023) << 52;
  const Doubles result = x < -708.0 ? Doubles{} : p * reinterpret_cast<Doubles>(exponent);
  return x > 709.0 ? Doubles{} + __builtin_inf() : result;
}

/// The sum over i of e^(x[i] - highest).
inline double sum_exp(const float* x, std::int64_t n, double highest) {
  constexpr std::int64_t kChains = 4;
  Doubles sums[kChains] = {};
  const auto next = [&](const float* at) {
    Singles values;
    std::memcpy(&values, at, sizeof values);
    return exp_double(__builtin_convertvector(values, Doubles) - highest);
  };
  std::int64_t i = 0;
  for (; i + kChains * kDoubles <= n; i += kChains * kDoubles) {
    for (std::int64_t c = 0; c < kChains; ++c) sums[c] += next(x + i + c * kDoubles);
  }
  for (; i < n; i += kDoubles) {
    float rest[kDoubles];
    for (std::int64_t k = 0; k < kDoubles; ++k) rest[k] = i + k < n ? x[i + k] : -__builtin_inff();
    sums[0] += next(rest);
  }
  const Doubles all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (std::int64_t lane = 0; lane < kDoubles; ++lane) sum += all[lane];
  return sum;
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
