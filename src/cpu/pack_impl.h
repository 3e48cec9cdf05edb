// From a checkpoint's matrix, [in, out] or [out, in] in f32, f16 or bf16, to panels in f32 or f16.
#pragma once

#include <cstring>

#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// `count` numbers of any storage type, at any alignment, as floats.
inline void widen(const std::byte* source, DType dtype, std::int64_t count, float* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, source, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  std::uint16_t bits[kWidth] = {};
  for (std::int64_t i = 0; i < count; i += kWidth) {
    const std::int64_t n = count - i < kWidth ? count - i : kWidth;
    std::memcpy(bits, source + i * 2, static_cast<std::size_t>(n) * 2);
    const V v = dtype == DType::kF16 ? load(bits) : load_bf16(bits);
    if (n == kWidth) {
      store(out + i, v);
    } else {
      store_some(out + i, v, n);
    }
  }
}

/// Whether every number that is finite as a float is finite as a half; NaN and infinity pass.
inline bool fits_half(const float* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float magnitude = __builtin_fabsf(p[i]);
    if (magnitude >= 65520.0F && magnitude <= __FLT_MAX__) return false;
  }
  return true;
}

/// kBlock inputs of one panel as floats: block[k][o].
constexpr std::int64_t kPackBlock = 16;

inline void read_block(const PackJob& job, std::int64_t k, std::int64_t inputs, std::int64_t first,
                       float* block) {
  const std::int64_t outputs = job.out - first < kPanel ? job.out - first : kPanel;
  const std::int64_t bytes = size_of(job.source_dtype);
  std::memset(block, 0, static_cast<std::size_t>(inputs * kPanel) * sizeof(float));
  if (!job.out_major) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      widen(job.source + ((k + i) * job.out + first) * bytes, job.source_dtype, outputs,
            block + i * kPanel);
    }
    return;
  }
  float row[kPackBlock];
  for (std::int64_t o = 0; o < outputs; ++o) {
    widen(job.source + ((first + o) * job.in + k) * bytes, job.source_dtype, inputs, row);
    for (std::int64_t i = 0; i < inputs; ++i) block[i * kPanel + o] = row[i];
  }
}

inline bool pack(const PackJob& job, std::int64_t begin, std::int64_t end) {
  alignas(64) float block[kPackBlock * kPanel];
  for (std::int64_t p = begin; p < end; ++p) {
    for (std::int64_t k = 0; k < job.in; k += kPackBlock) {
      const std::int64_t inputs = job.in - k < kPackBlock ? job.in - k : kPackBlock;
      read_block(job, k, inputs, p * kPanel, block);
      const std::int64_t count = inputs * kPanel;
      const std::int64_t at = (p * job.in + k) * kPanel;
      if (job.dtype == DType::kF32) {
        std::memcpy(static_cast<float*>(job.panels) + at, block,
                    static_cast<std::size_t>(count) * sizeof(float));
        continue;
      }
      if (!fits_half(block, count)) return false;
      std::uint16_t* panels = static_cast<std::uint16_t*>(job.panels) + at;
      for (std::int64_t i = 0; i < count; i += kWidth) store(panels + i, load(block + i));
    }
  }
  return true;
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
