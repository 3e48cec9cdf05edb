// LayerNorm of one row: the mean, then the variance of the differences from it (two passes, so that
// nothing cancels), then gain and bias.
#pragma once

#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

inline void layernorm(const float* x, const float* gain, const float* bias, float epsilon,
                      std::int64_t width, float* y) {
  const std::int64_t whole = width / kWidth * kWidth;
  const std::int64_t rest = width - whole;
  V sum = zero();
  for (std::int64_t i = 0; i < whole; i += kWidth) sum = add(sum, load(x + i));
  if (rest > 0) sum = add(sum, load_some(x + whole, rest));
  const float mean = sum_lanes(sum) / static_cast<float>(width);

  const V center = broadcast(mean);
  V squares = zero();
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const V d = sub(load(x + i), center);
    squares = fma(d, d, squares);
  }
  if (rest > 0) {
    const V d = keep_lanes(sub(load_some(x + whole, rest), center), rest);
    squares = fma(d, d, squares);
  }
  const float variance = sum_lanes(squares) / static_cast<float>(width);

  const V factor = broadcast(1.0F / __builtin_sqrtf(variance + epsilon));
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const V d = mul(sub(load(x + i), center), factor);
    store(y + i, fma(d, load(gain + i), load(bias + i)));
  }
  if (rest > 0) {
    const V d = mul(sub(load_some(x + whole, rest), center), factor);
    store_some(y + whole, fma(d, load_some(gain + whole, rest), load_some(bias + whole, rest)),
               rest);
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
