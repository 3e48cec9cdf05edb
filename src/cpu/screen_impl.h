// A screen: weights in int8 (quantize_impl.h) beside f32 or f16 panels, and for each output w two
// numbers that bound what its screened dot product can be wrong by:
//   error = || w - q ||, norm = max(|| w ||, || q ||), both rounded up; q is what the int8 stand
//   for.
// screening.cc says how they bound it.
#pragma once

#include <cstring>

#include "cpu/kernels.h"
#include "cpu/quantize_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// sums[o] += the squares of w, q and w - q over one group of a panel.
struct SquareSums {
  float weights[kPanel] = {};
  float screened[kPanel] = {};
  float errors[kPanel] = {};
};

/// block[kGroup][kPanel], and `group` what quantize_block made of it.
inline void add_squares(const float* block, const std::byte* group, SquareSums& sums) {
  const auto* scales = reinterpret_cast<const std::uint16_t*>(group);
  const std::byte* fours = group + kPanel * 2;
  for (std::int64_t o = 0; o < kPanel; o += kWidth) {
    const V scale = load_bf16(scales + o);
    V weights = load(sums.weights + o);
    V screened = load(sums.screened + o);
    V errors = load(sums.errors + o);
    for (std::int64_t k = 0; k < kGroup; k += 4) {
      Ints four;
      std::memcpy(&four, fours + (k * kPanel + o * 4), sizeof four);
      for (std::int64_t i = 0; i < 4; ++i) {
        const Ints whole = four << static_cast<int>(24 - 8 * i) >> 24;
        I number;
        std::memcpy(&number, &whole, sizeof number);
        const V w = load(block + (k + i) * kPanel + o);
        const V q = mul(scale, to_float(number));  // exact: 8 bits times 7
        const V e = sub(w, q);
        weights = fma(w, w, weights);
        screened = fma(q, q, screened);
        errors = fma(e, e, errors);
      }
    }
    store(sums.weights + o, weights);
    store(sums.screened + o, screened);
    store(sums.errors + o, errors);
  }
}

/// The root of a sum of squares of `count` floats, no less than it is: each of its terms may have
/// been rounded down twice, and vanished where it is below 2^-149.
inline float root_up(float squares, std::int64_t count) {
  const float slack = 1 + static_cast<float>(count + 16) * 0x1p-23F;
  return __builtin_sqrtf(squares) * slack + 0x1p-50F;
}

template <typename Weight>
inline void screen_panels(const ScreenJob& job, std::int64_t begin, std::int64_t end) {
  alignas(64) float block[kGroup * kPanel];
  for (std::int64_t p = begin; p < end; ++p) {
    const Weight* panel = static_cast<const Weight*>(job.panels) + p * job.in * kPanel;
    std::byte* to = job.weights + p * panel_bytes(DType::kI8, job.in);
    SquareSums sums;
    for (std::int64_t k = 0; k < job.in; k += kGroup, to += kGroupBytes) {
      const std::int64_t inputs = job.in - k < kGroup ? job.in - k : kGroup;
      for (std::int64_t i = 0; i < inputs * kPanel; i += kWidth) {
        store(block + i, load(panel + k * kPanel + i));
      }
      for (std::int64_t i = inputs * kPanel; i < kGroup * kPanel; i += kWidth) {
        store(block + i, zero());
      }
      quantize_block(block, to);
      add_squares(block, to, sums);
    }
    for (std::int64_t o = 0; o < kPanel; ++o) {
      const float weights = root_up(sums.weights[o], job.in);
      const float screened = root_up(sums.screened[o], job.in);
      job.errors[p * kPanel + o] = root_up(sums.errors[o], job.in);
      // NaN, which a weight that is none leaves in both, must stay.
      job.norms[p * kPanel + o] = weights > screened ? weights : screened;
    }
  }
}

inline void screen(const ScreenJob& job, std::int64_t begin, std::int64_t end) {
  if (job.dtype == DType::kF32) {
    screen_panels<float>(job, begin, end);
  } else {
    screen_panels<std::uint16_t>(job, begin, end);
  }
}

/// False when a norm is not below the limit.
inline bool bound(const BoundJob& job) {
  const V by_error = broadcast(job.by_error);
  const V by_norm = broadcast(job.by_norm);
  Ints largest{};
  for (std::int64_t o = 0; o < job.out; o += kWidth) {
    const std::int64_t n = job.out - o;
    const bool whole = n >= kWidth;
    const V norm = load(job.norms + o);
    largest = larger_magnitude(largest, norm);
    const V wrong = fma(by_error, load(job.errors + o), fma(by_norm, norm, broadcast(kLeastWrong)));
    const V dot = whole ? load(job.dots + o) : load_some(job.dots + o, n);
    if (whole) {
      store(job.lower + o, sub(dot, wrong));
      store(job.upper + o, add(dot, wrong));
    } else {
      store_some(job.lower + o, sub(dot, wrong), n);
      store_some(job.upper + o, add(dot, wrong), n);
    }
  }
  bool below = true;
  for (int i = 0; i < kWidth; ++i) below = below && from_bits(largest[i]) < job.limit;
  return below;
}

/// The greatest of each kPanel scores; infinity where one is no number.
inline void panel_maxima(const float* scores, std::int64_t count, float* maxima) {
  constexpr std::int32_t kInfinityBits = 0x7f800000;
  for (std::int64_t first = 0; first < count; first += kPanel) {
    const std::int64_t n = count - first < kPanel ? count - first : kPanel;
    V greatest = broadcast(scores[first]);
    Ints magnitudes{};
    for (std::int64_t o = 0; o < n; o += kWidth) {
      V score = greatest;
      if (n - o >= kWidth) {
        score = load(scores + first + o);
      } else {  // the row's last ones
        float lanes[kWidth];
        store(lanes, greatest);
        for (std::int64_t i = 0; i < n - o; ++i) lanes[i] = scores[first + o + i];
        score = load(lanes);
      }
      magnitudes = larger_magnitude(magnitudes, score);
      greatest = max(score, greatest);
    }
    maxima[first / kPanel] = max_lane(greatest);
    for (int i = 0; i < kWidth; ++i) {
      if (magnitudes[i] > kInfinityBits) maxima[first / kPanel] = from_bits(kInfinityBits);
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
