// From the sums of a linear map's panel to its outputs: bias, activation, residual.
#pragma once

#include "cpu/kernels.h"
#include "cpu/math_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// Bias, activation and residual for `rows` rows of sums, outputs [first, first + kPanel).
inline void finish(const LinearJob& job, std::int64_t row, std::int64_t rows, std::int64_t first,
                   const float* sums) {
  const std::int64_t count = job.out - first < kPanel ? job.out - first : kPanel;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t at = (row + r) * job.out + first;
    for (std::int64_t o = 0; o < count; o += kWidth) {
      const std::int64_t n = count - o;
      const bool whole = n >= kWidth;
      V y = load(sums + r * kPanel + o);
      if (job.bias != nullptr) {
        const float* bias = job.bias + first + o;
        y = add(y, whole ? load(bias) : load_some(bias, n));
      }
      y = activate(y, job.activation);
      if (job.residual != nullptr) {
        const float* residual = job.residual + at + o;
        y = add(whole ? load(residual) : load_some(residual, n), y);
      }
      if (whole) {
        store(job.y + at + o, y);
      } else {
        store_some(job.y + at + o, y, n);
      }
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
