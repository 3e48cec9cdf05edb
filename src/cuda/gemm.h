// The matrix product of cuBLAS (gemm_cublas.cc) or, on machines without a GPU, of its stand-in
// (tests/cuda/gemm_on_host.cu).
#pragma once

#include "kernels/kernels.h"

struct cublasContext;

namespace aira::cuda {

class Gemm {
 public:
  /// Initialises the library, which takes a while and must not happen while a step is recorded.
  explicit Gemm(cudaStream_t stream);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// Enqueues product[t][o] = sum over k of x[t][k] weights[o][k], [rows, out], accumulated in f32
  /// (no TF32). x is job.x for weights in f32, job.halves for f16; the job's epilogue is left out.
  void run(const LinearJob& job, float* product);

 private:
  cudaStream_t stream_;
  cublasContext* library_ = nullptr;
};

}  // namespace aira::cuda
