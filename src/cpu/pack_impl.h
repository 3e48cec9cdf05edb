// From a checkpoint's matrix, [in, out] or [out, in] in f32, f16 or bf16, to panels in f32, f16 or
// int8.
#pragma once

#include <cstring>

#include "cpu/quantize_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// `count` numbers of any storage type, at any alignment, as floats.
inline void widen(const std::byte* source, DType dtype, std::int64_t count, float* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, source, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  std::uint16_t bits[kWidth] = {};
  const auto floats = [&] { return dtype == DType::kF16 ? load(bits) : load_bf16(bits); };
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    std::memcpy(bits, source + i * 2, sizeof bits);
    store(out + i, floats());
  }
  std::memcpy(bits, source + i * 2, static_cast<std::size_t>(count - i) * 2);
  store_some(out + i, floats(), count - i);
}

/// Whether every number that is finite as a float is finite as a half; NaN and infinity pass.
inline bool fits_half(const float* p, std::int64_t count) {
  int beyond = 0;  // no early exit, which would keep the compiler from using vectors
  for (std::int64_t i = 0; i < count; ++i) {
    const float magnitude = __builtin_fabsf(p[i]);
    beyond |= static_cast<int>(magnitude >= 65520.0F) & static_cast<int>(magnitude <= __FLT_MAX__);
  }
  return beyond == 0;
}

/// `inputs` <= kGroup inputs of one panel as floats: block[kGroup][kPanel], what is missing zero.
inline void read_block(const PackJob& job, std::int64_t k, std::int64_t inputs, std::int64_t first,
                       float* block) {
  const std::int64_t outputs = job.out - first < kPanel ? job.out - first : kPanel;
  const std::int64_t bytes = size_of(job.source_dtype);
  std::memset(block, 0, sizeof(float) * kGroup * kPanel);
  if (!job.out_major) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      widen(job.source + ((k + i) * job.out + first) * bytes, job.source_dtype, outputs,
            block + i * kPanel);
    }
    return;
  }
  float row[kGroup];
  for (std::int64_t o = 0; o < outputs; ++o) {
    widen(job.source + ((first + o) * job.in + k) * bytes, job.source_dtype, inputs, row);
    for (std::int64_t i = 0; i < inputs; ++i) block[i * kPanel + o] = row[i];
  }
}

inline bool pack(const PackJob& job, std::int64_t begin, std::int64_t end) {
  alignas(64) float block[kGroup * kPanel];
  for (std::int64_t p = begin; p < end; ++p) {
    std::byte* to = static_cast<std::byte*>(job.panels) + p * panel_bytes(job.dtype, job.in) +
                    panel_bytes(job.dtype, job.first);
    for (std::int64_t k = job.first; k < job.last; k += kGroup) {
      const std::int64_t inputs = job.last - k < kGroup ? job.last - k : kGroup;
      read_block(job, k, inputs, p * kPanel, block);
      const std::int64_t count = inputs * kPanel;
      if (job.dtype == DType::kI8) {
        quantize_block(block, to);
        to += kGroupBytes;
      } else if (job.dtype == DType::kF32) {
        std::memcpy(to, block, static_cast<std::size_t>(count) * sizeof(float));
        to += count * 4;
      } else {
        if (job.source_dtype != DType::kF16 && !fits_half(block, count)) return false;
        auto* halves = reinterpret_cast<std::uint16_t*>(to);
        for (std::int64_t i = 0; i < count; i += kWidth) store(halves + i, load(block + i));
        to += count * 2;
      }
    }
  }
  return true;
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
