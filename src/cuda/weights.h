// Weights on the device, in the layout of kernels/kernels.h.
#pragma once

#include <cstdint>

#include "cuda/device_memory.h"
#include "model/tensor.h"

namespace aira::cuda {

/// Numbers between two outputs' weights: `in` rounded up to 16 bytes.
constexpr std::int64_t matrix_stride(std::int64_t in, DType dtype) {
  const std::int64_t piece = 16 / size_of(dtype);
  return (in + piece - 1) / piece * piece;
}

/// [out, stride] in `dtype` (kF32 or kF16). Throws Error when a weight is too large for kF16.
Matrix upload_matrix(Uploader& uploader, const HostTensor& source, DType dtype);
/// f32.
Vector upload_vector(Uploader& uploader, const HostTensor& source);

}  // namespace aira::cuda
