// The matrix product of cuBLAS (gemm_cublas.cc) or, on machines without a GPU, of its stand-in
// (tests/cuda/gemm_on_host.cu).
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/launch.h"
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
  /// Cheap; prepare() initialises the library.
  explicit Gemm(cudaStream_t stream);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// Must be called before the first run, and not while a step is recorded.
  void prepare();
  /// Enqueues the product on the stream.
  void run(const GemmJob& job);

 private:
  struct Library;
  cudaStream_t stream_;
  std::unique_ptr<Library> library_;
};

}  // namespace aira::cuda
