#include "cpu/unpack.h"

#include "base/half.h"
#include "cpu/kernels.h"

namespace aira::cpu {
namespace {

void unpack_int8(const std::byte* panel, std::int64_t column, std::int64_t in, float* weights) {
  for (std::int64_t k = 0; k < in; ++k) {
    const std::byte* group = panel + k / kGroup * kGroupBytes;
    const auto* scales = reinterpret_cast<const std::uint16_t*>(group);
    const auto* values = reinterpret_cast<const std::int8_t*>(group + kPanel * 2);
    const std::int64_t quad = k % kGroup / 4;
    // Exact: 8 bits times 7.
    weights[k] = bfloat_to_float(scales[column]) *
                 static_cast<float>(values[(quad * kPanel + column) * 4 + k % 4]);
  }
}

}  // namespace

void unpack(const Matrix& matrix, std::int64_t output, float* weights) {
  const std::int64_t column = output % kPanel;
  const std::byte* panel = static_cast<const std::byte*>(matrix.data.get()) +
                           output / kPanel * panel_bytes(matrix.dtype, matrix.in);
  if (matrix.dtype == DType::kI8) return unpack_int8(panel, column, matrix.in, weights);
  if (matrix.dtype == DType::kF32) {
    const auto* numbers = reinterpret_cast<const float*>(panel) + column;
    for (std::int64_t k = 0; k < matrix.in; ++k) weights[k] = numbers[k * kPanel];
  } else {
    const auto* numbers = reinterpret_cast<const std::uint16_t*>(panel) + column;
    for (std::int64_t k = 0; k < matrix.in; ++k) weights[k] = half_to_float(numbers[k * kPanel]);
  }
}

}  // namespace aira::cpu
