// Elementary functions on vectors: exp and what GPT-2's activations make of it, sums over lanes,
// and the ends of arrays that fill no whole vector.
#pragma once

#include <cmath>

#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// e^x to about 2 ulp. Arguments are clamped to where the result is a normal number, so very small
/// ones give about 1e-38 instead of 0. NaN stays NaN (it comes second in max and min).
inline V exp(V x) {
  x = min(broadcast(88.0F), max(broadcast(-87.3F), x));
  // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts keeps r exact (Cody and Waite).
  const V n = round(x * broadcast(1.44269504F));
  V r = fma(n, broadcast(-0.693359375F), x);
  r = fma(n, broadcast(2.12194440e-4F), r);
  // Minimax polynomial of (e^r - 1 - r) / r^2 from Cephes' expf.
  V p = broadcast(1.9875691500e-4F);
  p = fma(p, r, broadcast(1.3981999507e-3F));
  p = fma(p, r, broadcast(8.3334519073e-3F));
  p = fma(p, r, broadcast(4.1665795894e-2F));
  p = fma(p, r, broadcast(1.6666665459e-1F));
  p = fma(p, r, broadcast(5.0000001201e-1F));
  p = fma(r * r, p, r + broadcast(1.0F));
  return p * power_of_two(n);
}

/// x / (1 + e^-y).
inline V times_sigmoid(V x, V y) { return x / (broadcast(1.0F) + exp(V{} - y)); }

/// x Phi(x), Phi by its tanh approximation (Hendrycks and Gimpel, "gelu_new"). With
/// 0.5 (1 + tanh u) = 1 / (1 + e^-2u) nothing cancels for negative x.
inline V gelu_tanh(V x) {
  const V cubic = (x * x) * (x * broadcast(0.044715F));
  return times_sigmoid(x, (x + cubic) * broadcast(1.5957691216F));  // 2 sqrt(2 / pi)
}

/// What has no vector formula here goes through the C library, number by number.
template <typename Function>
inline V each_lane(V x, const Function& function) {
  float lanes[kWidth];
  store(lanes, x);
  for (float& lane : lanes) lane = function(lane);
  return load(lanes);
}

/// NaN stays NaN: max and min give their second argument then.
inline V activate(V x, Activation activation) {
  const V zero{};
  const auto gelu = [](float a) { return 0.5F * a * ::erfcf(a * -0.70710678F); };
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      return gelu_tanh(x);
    case Activation::kGeluErf:
      return each_lane(x, gelu);
    case Activation::kGelu10:
      return min(broadcast(10.0F), each_lane(x, gelu));
    case Activation::kQuickGelu:
      return times_sigmoid(x, x * broadcast(1.702F));
    case Activation::kRelu:
      return max(zero, x);
    case Activation::kRelu2:
      return max(zero, x) * max(zero, x);
    case Activation::kRelu6:
      return min(broadcast(6.0F), max(zero, x));
    case Activation::kLeakyRelu:
      return max(x * broadcast(0.01F), x);
    case Activation::kSilu:
      return times_sigmoid(x, x);
    case Activation::kHardSwish:
      return x * min(broadcast(6.0F), max(zero, x + broadcast(3.0F))) / broadcast(6.0F);
    case Activation::kMish: {
      // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); from 20 on that is 1.
      const V e = exp(min(broadcast(20.0F), x));
      const V n = e * (e + broadcast(2.0F));
      return x * (n / (n + broadcast(2.0F)));
    }
    case Activation::kSigmoid:
      return times_sigmoid(broadcast(1.0F), x);
    case Activation::kTanh:
      return each_lane(x, [](float a) { return ::tanhf(a); });
    case Activation::kLaplace:  // the normal distribution with mean 0.707107, deviation 0.282095
      return each_lane(
          x, [](float a) { return 0.5F * ::erfcf((a - 0.707107F) * (-0.70710678F / 0.282095F)); });
    case Activation::kSqrtSoftplus:
      return each_lane(x, [](float a) { return ::sqrtf(a > 20.0F ? a : ::log1pf(::expf(a))); });
  }
  return x;
}

/// All lanes combined, always in the same order: halves are folded onto each other.
template <typename Combine>
inline float fold_lanes(V v, const Combine& combine) {
  float lanes[kWidth];
  store(lanes, v);
  for (int half = kWidth / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] = combine(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}

inline float sum_lanes(V v) {
  return fold_lanes(v, [](float a, float b) { return a + b; });
}

inline float max_lane(V v) {
  return fold_lanes(v, [](float a, float b) { return a > b ? a : b; });
}

/// The first n numbers, the rest zero. Here and below, n may exceed kWidth: all lanes then.
inline V load_some(const float* p, std::int64_t n) {
  if (n >= kWidth) return load(p);
  float lanes[kWidth] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}

/// The first n lanes, the rest zero.
inline V keep_lanes(V v, std::int64_t n) {
  if (n >= kWidth) return v;
  float lanes[kWidth];
  store(lanes, v);
  return load_some(lanes, n);
}

/// Stores the first n lanes.
inline void store_some(float* p, V v, std::int64_t n) {
  if (n >= kWidth) return store(p, v);
  float lanes[kWidth];
  store(lanes, v);
  for (std::int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
