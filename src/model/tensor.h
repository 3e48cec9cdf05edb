// Views and owners of memory that may not be the host's. Nothing here can be dereferenced through
// an operator, so host code cannot read a device pointer by accident; backends cast on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "aira/device.h"

namespace aira {

/// Memory of a backend, freed with its last owner. `data` may point into something that someone
/// else allocated (a mapped file): the shared_ptr then keeps that alive.
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
/// Null data means "not there" where an argument is optional.
struct Vector {
  std::shared_ptr<const float> data;
  std::int64_t size = 0;
};

/// The weights of a linear map from `in` to `out` features, in the order that the backend's kernels
/// want. Only the backend that made it (Backend::load_matrix) can read `data`.
struct Matrix {
  std::shared_ptr<const void> data;
  DType dtype = DType::kF32;
  std::int64_t in = 0;
  std::int64_t out = 0;
};

/// A tensor as a checkpoint stores it, in host memory (usually a mapped file, kept alive by
/// `data`).
struct HostMatrix {
  std::shared_ptr<const std::byte> data;
  DType dtype = DType::kF32;
  std::int64_t in = 0;
  std::int64_t out = 0;
  /// true: stored [out, in] (token embeddings, lm_head); false: stored [in, out] (GPT-2's Conv1D).
  bool out_major = false;
};

}  // namespace aira
