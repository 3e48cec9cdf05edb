// Views and owners of memory that may not be the host's: no operators, so that host code cannot
// read a device pointer by accident.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "aira/device.h"

namespace aira {

/// Memory of a backend, freed with its last owner.
using Buffer = std::shared_ptr<void>;

/// A row-major [rows, cols] view of f32 activations in a backend's memory. Does not own.
struct Tensor {
  float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  /// The first `n` rows of this view.
  Tensor first(std::int64_t n) const { return {data, n, cols}; }
};

/// A parameter vector (bias, LayerNorm gain) or table (positions): f32, in a backend's memory.
struct Vector {
  std::shared_ptr<const float> data;
  std::int64_t size = 0;
};

/// The weights of a linear map from `in` to `out` features, in the order of the backend's kernels.
struct Matrix {
  std::shared_ptr<const void> data;
  DType dtype = DType::kF32;
  std::int64_t in = 0;
  std::int64_t out = 0;
};

/// A tensor as a checkpoint stores it, in host memory that `data` keeps alive (usually a mapped
/// file). Nothing is promised about alignment. Values may be anything, NaN included.
struct HostTensor {
  std::shared_ptr<const std::byte> data = {};
  std::size_t bytes = 0;  // of data, where a file says it
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape = {};
  /// Of a matrix: stored [out, in] (token embeddings, head); else [in, out] (GPT-2's Conv1D).
  bool out_major = false;
  std::string name = {};
  std::string file = {};  // for messages

  std::int64_t in() const { return shape[out_major ? 1 : 0]; }
  std::int64_t out() const { return shape[out_major ? 0 : 1]; }
  /// How many numbers it has.
  std::int64_t size() const {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  }
};

/// A copy in f32, aligned, of a tensor of any type but kI8.
HostTensor as_f32(const HostTensor& source);

/// The numbers of a tensor of type f32 that lies aligned.
inline const float* numbers(const HostTensor& tensor) {
  return reinterpret_cast<const float*>(tensor.data.get());
}

}  // namespace aira
