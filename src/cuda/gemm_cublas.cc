// Gemm by cuBLAS. Its matrices are column-major, so this computes the transposed product.
#include <cublas_v2.h>

#include <string>

#include "aira/error.h"
#include "cuda/gemm.h"

namespace aira::cuda {
namespace {

void check_cublas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error("[E508] cuBLAS failed while {}: {}.", {message(what), cublasGetStatusString(status)});
}

}  // namespace

Gemm::Gemm(cudaStream_t stream) : stream_(stream) {
  check_cublas(cublasCreate(&library_), "starting");
  check_cublas(cublasSetStream(library_, stream_), "choosing a stream");
  // f32 stays f32: TF32 would keep 10 bits of it.
  check_cublas(cublasSetMathMode(library_, CUBLAS_DEFAULT_MATH), "choosing the arithmetic");
}

Gemm::~Gemm() { static_cast<void>(cublasDestroy(library_)); }

void Gemm::run(const LinearJob& job, float* product) {
  const float one = 1;
  const float zero = 0;
  const bool half = job.dtype == DType::kF16;
  const cudaDataType type = half ? CUDA_R_16F : CUDA_R_32F;
  const void* x = half ? job.halves : job.x;
  check_cublas(
      cublasGemmEx(library_, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(job.out),
                   static_cast<int>(job.rows), static_cast<int>(job.in), &one, job.weights, type,
                   static_cast<int>(job.stride), x, type,
                   static_cast<int>(half ? job.stride : job.in), &zero, product, CUDA_R_32F,
                   static_cast<int>(job.out), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      "multiplying matrices");
}

}  // namespace aira::cuda
