// Gemm by cuBLAS. Its matrices are column-major, so this computes the transposed product.
//
// The library is loaded when the first matrix in f32 is: hundreds of megabytes, which take 0.1 to
// 0.3 s, and f16 and int8 do without.
#include <cublas_api.h>  // and not cublas_v2.h, whose names are macros

#include <string>
#include <type_traits>

#include "aira/error.h"
#include "base/dynamic_library.h"
#include "cuda/gemm.h"

namespace aira::cuda {
namespace {

/// The functions that are used.
struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetMathMode) set_math_mode;
  std::add_pointer_t<cublasStatus_t(
      cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void* alpha,
      const void* a, cudaDataType, int lda, const void* b, cudaDataType, int ldb, const void* beta,
      void* c, cudaDataType, int ldc, cublasComputeType_t, cublasGemmAlgo_t)>
      gemm;  // cublasGemmEx, which is overloaded
  decltype(&cublasGetStatusString) status_text;
};

Cublas load() {
  const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
  // The second is where the toolkit is, which the loader need not know.
  const DynamicLibrary library({name, "/usr/local/cuda/lib64/" + name});
  if (!library) {
    throw Error(
        "[E530] --dtype f32 on a GPU needs cuBLAS, which cannot be loaded ({}); install it, or use "
        "--dtype f16.",
        {library.problem()});
  }
  const auto find = [&](auto& function, const char* symbol) {
    if (library.find(function, symbol)) return;
    throw Error("[E531] The installed cuBLAS has no function {}.", {symbol});
  };
  Cublas cublas{};
  find(cublas.create, "cublasCreate_v2");
  find(cublas.destroy, "cublasDestroy_v2");
  find(cublas.set_stream, "cublasSetStream_v2");
  find(cublas.set_math_mode, "cublasSetMathMode");
  find(cublas.gemm, "cublasGemmEx");
  find(cublas.status_text, "cublasGetStatusString");
  return cublas;
}

/// Throws Error where the library or a function is missing.
const Cublas& cublas() {
  static const Cublas library = load();
  return library;
}

void check_cublas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error("[E508] cuBLAS failed while {}: {}.", {message(what), cublas().status_text(status)});
}

}  // namespace

Gemm::Gemm(cudaStream_t stream) : stream_(stream) {
  check_cublas(cublas().create(&library_), "starting");
  check_cublas(cublas().set_stream(library_, stream_), "choosing a stream");
  // f32 stays f32: TF32 would keep 10 bits of it.
  check_cublas(cublas().set_math_mode(library_, CUBLAS_DEFAULT_MATH), "choosing the arithmetic");
}

Gemm::~Gemm() { static_cast<void>(cublas().destroy(library_)); }

void Gemm::run(const LinearJob& job, float* product) {
  const float one = 1;
  const float zero = 0;
  const bool half = job.dtype == DType::kF16;
  const cudaDataType type = half ? CUDA_R_16F : CUDA_R_32F;
  const void* x = half ? job.halves : job.x;
  check_cublas(
      cublas().gemm(library_, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(job.out),
                    static_cast<int>(job.rows), static_cast<int>(job.in), &one, job.weights, type,
                    static_cast<int>(job.stride), x, type,
                    static_cast<int>(half ? job.stride : job.in), &zero, product, CUDA_R_32F,
                    static_cast<int>(job.out), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      "multiplying matrices");
}

}  // namespace aira::cuda
