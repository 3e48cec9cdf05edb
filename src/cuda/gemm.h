// The one matrix product that is not ours: cuBLAS (gemm_cublas.cc), or on machines without a GPU
// its stand-in (tests/cuda_on_host).
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/check.h"
#include "model/tensor.h"

namespace aira::cuda {

/// product[t][o] = sum over k < in of x[t][k] weights[o][k], accumulated in f32.
struct GemmJob {
  const void* x = nullptr;  // [rows, x_stride], of the weights' type
  std::int64_t rows = 0;
  std::int64_t x_stride = 0;
  const void* weights = nullptr;  // [out, stride]
  DType dtype = DType::kF32;      // kF32: true f32, no TF32
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t stride = 0;
  float* product = nullptr;  // [rows, out]
};

class Gemm {
 public:
  /// Cheap: the library is set up by the first run, which must not be while a step is recorded.
  explicit Gemm(cudaStream_t stream);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// Enqueues the product on the stream.
  void run(const GemmJob& job);

 private:
  struct Library;
  cudaStream_t stream_;
  std::unique_ptr<Library> library_;
};

}  // namespace aira::cuda
