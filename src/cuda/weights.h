// Weights on the device, in the layout of kernels/kernels.h.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/device.h"
#include "model/tensor.h"

namespace aira::cuda {

/// Numbers between two outputs' weights: `in` rounded up to 16 bytes.
constexpr std::int64_t matrix_stride(std::int64_t in, DType dtype) {
  const std::int64_t piece = 16 / size_of(dtype);
  return (in + piece - 1) / piece * piece;
}

/// Copies stored weights to the device part by part, and converts them there.
class WeightLoader {
 public:
  explicit WeightLoader(cudaStream_t stream) : stream_(stream) {}

  /// [out, stride] in `dtype` (kF32 or kF16). Throws Error when a weight is too large for kF16.
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
