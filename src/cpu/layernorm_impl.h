// LayerNorm of one row: the mean, then the variance of the differences from it (two passes, so that
// nothing cancels), then gain and bias.
#pragma once

#include "cpu/math_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

inline void layernorm(const float* x, const float* gain, const float* bias, float epsilon,
                      std::int64_t width, float* y) {
  V sum{};
  for (std::int64_t i = 0; i < width; i += kWidth) sum = sum + load_some(x + i, width - i);
  const float mean = sum_lanes(sum) / static_cast<float>(width);
  const V center = broadcast(mean);
  V squares{};
  for (std::int64_t i = 0; i < width; i += kWidth) {
    const V d = keep_lanes(load_some(x + i, width - i) - center, width - i);
    squares = fma(d, d, squares);
  }
  const float variance = sum_lanes(squares) / static_cast<float>(width);
  const V factor = broadcast(1.0F / __builtin_sqrtf(variance + epsilon));
  for (std::int64_t i = 0; i < width; i += kWidth) {
    const std::int64_t n = width - i;
    const V d = (load_some(x + i, n) - center) * factor;
    store_some(y + i, fma(d, load_some(gain + i, n), load_some(bias + i, n)), n);
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
