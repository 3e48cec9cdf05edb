// From floats to int8, one scale for each kGroup numbers: q = round(x / scale) with scale = largest
// |x| / 127, so that |q| <= 127. The scales of weights are bf16, rounded up: the full range of a
// float in two bytes. Each step is a single IEEE operation, the same bits on every machine. A group
// whose largest magnitude is below kTiny counts as zeros; one that holds an infinity or a NaN has
// that as its scale, so that whatever it is multiplied with becomes infinite or NaN.
#pragma once

#include <cstring>

#include "cpu/math_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

constexpr float kTiny = 0x1p-100F;  // 127 / kTiny and kTiny / 127 are normal numbers

using Ints = std::int32_t __attribute__((vector_size(sizeof(V))));

/// The larger of `largest` and |v|, lane by lane, as bits; NaN is larger than infinity.
inline Ints larger_magnitude(Ints largest, V v) {
  const Ints magnitude = reinterpret_cast<Ints>(v) & 0x7fffffff;
  return magnitude > largest ? magnitude : largest;
}

/// The nearest whole numbers, ties to even.
inline Ints nearest(V v) { return reinterpret_cast<Ints>(to_int(v)); }

/// One group of inputs: kGroup floats at `x`.
inline void quantize_group(const float* x, std::int8_t* values, float& scale,
                           std::int32_t& offset) {
  Ints magnitudes{};
  for (std::int64_t i = 0; i < kGroup; i += kWidth) {
    magnitudes = larger_magnitude(magnitudes, load(x + i));
  }
  std::int32_t bits = 0;
  for (int i = 0; i < kWidth; ++i) bits = magnitudes[i] > bits ? magnitudes[i] : bits;
  const auto largest = __builtin_bit_cast(float, bits);
  const bool tiny = largest < kTiny;
  scale = tiny ? 0 : largest / 127.0F;
  const V inverse = broadcast(tiny ? 0 : 127.0F / largest);
  std::int32_t whole[kGroup];
  for (std::int64_t i = 0; i < kGroup; i += kWidth) {
    const Ints q = nearest(load(x + i) * inverse);
    std::memcpy(whole + i, &q, sizeof q);
  }
  std::int32_t sum = 0;
  for (std::int64_t i = 0; i < kGroup; ++i) {
    values[i] = static_cast<std::int8_t>(whole[i]);
    sum += values[i];
  }
  offset = -128 * sum;
}

inline void quantize_row(const LinearJob& job, std::int64_t row) {
  const std::int64_t groups = groups_of(job.in);
  const std::int64_t tile = row / kRowTile * kRowTile;
  const std::int64_t height = tile_height(job.rows, tile);
  const float* x = job.x + row * job.in;
  const QuantizedRows& to = job.quantized;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t at = tile * groups + g * height + row - tile;
    const float* group = x + g * kGroup;
    float last[kGroup];
    if (const std::int64_t inputs = job.in - g * kGroup; inputs < kGroup) {
      std::memset(last, 0, sizeof last);
      std::memcpy(last, group, static_cast<std::size_t>(inputs) * sizeof(float));
      group = last;
    }
    quantize_group(group, to.values + at * kGroup, to.scales[at], to.offsets[at]);
  }
}

/// One group of a panel: block[kGroup][kPanel] to the group's scales and weights.
inline void quantize_block(const float* block, std::byte* to) {
  std::uint16_t scales[kPanel];
  float inverse[kPanel];
  for (std::int64_t o = 0; o < kPanel; o += kWidth) {
    Ints magnitudes{};
    for (std::int64_t k = 0; k < kGroup; ++k) {
      magnitudes = larger_magnitude(magnitudes, load(block + k * kPanel + o));
    }
    for (int lane = 0; lane < kWidth; ++lane) {
      const auto largest = __builtin_bit_cast(float, magnitudes[lane]);
      const float scale = largest < kTiny ? 0 : largest / 127.0F;
      auto bits = __builtin_bit_cast(std::uint32_t, scale);
      // NaN keeps its upper half, whose quiet bit is set: a division made it.
      bits = (largest == largest ? bits + 0xffffU : bits) & 0xffff0000U;
      scales[o + lane] = static_cast<std::uint16_t>(bits >> 16);
      inverse[o + lane] = bits == 0 ? 0 : 1.0F / __builtin_bit_cast(float, bits);
    }
  }
  std::memcpy(to, scales, sizeof scales);
  to += sizeof scales;
  for (std::int64_t k = 0; k < kGroup; k += 4) {
    for (std::int64_t o = 0; o < kPanel; o += kWidth, to += sizeof(Ints)) {
      Ints four{};
      for (int i = 3; i >= 0; --i) {
        const V w = load(block + (k + i) * kPanel + o) * load(inverse + o);
        four = four << 8 | (nearest(w) & 0xff);
      }
      std::memcpy(to, &four, sizeof four);
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
