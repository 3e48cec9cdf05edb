// Weights on the device, in the layout of kernels/kernels.h.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/device.h"
#include "kernels/kernels.h"
#include "model/tensor.h"

namespace aira::cuda {

/// Numbers from an output's weights to the next one's: `in` rounded up to 16 bytes.
constexpr std::int64_t matrix_stride(std::int64_t in, DType dtype) {
  const std::int64_t piece = 16 / size_of(dtype);
  return (in + piece - 1) / piece * piece;
}

/// Of a matrix and its scales.
constexpr std::int64_t matrix_bytes(std::int64_t in, std::int64_t out, DType dtype) {
  const std::int64_t scales = dtype == DType::kI8 ? scale_groups(in) * scale_pitch(out) : 0;
  return out * matrix_stride(in, dtype) * size_of(dtype) + scales * size_of(DType::kBF16);
}

/// Copies stored weights to the device part by part, and converts them there.
class WeightLoader {
 public:
  explicit WeightLoader(cudaStream_t stream) : stream_(stream) {}

  /// [out, stride] in `dtype`, with scales for kI8. Throws Error when a weight is too large for
  /// kF16.
  Matrix matrix(const HostTensor& source, DType dtype);
  /// f32.
  Vector vector(const HostTensor& source);

 private:
  /// Writes `rows` x `cols` numbers as [out, stride] in `dtype`, but not the padding. Returns when
  /// done.
  void load(const HostTensor& source, std::int64_t rows, std::int64_t cols, DType dtype,
            std::int64_t stride, void* to);

  cudaStream_t stream_;
  Scratch<std::byte> part_;
  Scratch<std::int32_t> overflows_;
};

}  // namespace aira::cuda
