// Gemm by cuBLAS. Its matrices are column-major, so this computes the transposed product.
#include <cublas_v2.h>

#include <cassert>
#include <string>

#include "aira/error.h"
#include "cuda/gemm.h"

namespace aira::cuda {
namespace {

void check_cublas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string("cuBLAS failed while ") + what + ": " + cublasGetStatusString(status) +
              ".");
}

}  // namespace

struct Gemm::Library {
  cublasHandle_t handle = nullptr;

  explicit Library(cudaStream_t stream) {
    check_cublas(cublasCreate(&handle), "starting");
    check_cublas(cublasSetStream(handle, stream), "choosing a stream");
    // f32 stays f32: TF32 would keep 10 bits of it.
    check_cublas(cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH), "choosing the arithmetic");
  }
  ~Library() { static_cast<void>(cublasDestroy(handle)); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

Gemm::Gemm(cudaStream_t stream) : stream_(stream) {}
Gemm::~Gemm() = default;

void Gemm::prepare() {
  if (!library_) library_ = std::make_unique<Library>(stream_);
}

void Gemm::run(const GemmJob& job) {
  assert(library_);
  const float one = 1;
  const float zero = 0;
  const cudaDataType type = job.dtype == DType::kF32 ? CUDA_R_32F : CUDA_R_16F;
  check_cublas(cublasGemmEx(library_->handle, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(job.out),
                            static_cast<int>(job.rows), static_cast<int>(job.in), &one, job.weights,
                            type, static_cast<int>(job.stride), job.x, type,
                            static_cast<int>(job.x_stride), &zero, job.product, CUDA_R_32F,
                            static_cast<int>(job.out), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
               "multiplying matrices");
}

}  // namespace aira::cuda
