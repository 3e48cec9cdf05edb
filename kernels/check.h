// The CUDA runtime's declarations, from wherever this build has them, and the check that turns its
// error codes into exceptions. Three builds include this: nvcc, g++ against the CUDA toolkit (host
// lines of src/cuda), and g++ against the stand-in of tests/cuda_on_host (AIRA_CUDA_ON_HOST).
#pragma once

#ifdef AIRA_CUDA_ON_HOST
#include <cuda_on_host.h>
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#endif

#include <string>

#include "aira/error.h"

namespace aira::cuda {

/// Throws Error when `status` is a failure; `what` says what was being done: "allocating 3 MB".
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // an error that was reported is not reported again
  throw Error(std::string("The GPU failed while ") + what + ": " + cudaGetErrorString(status) +
              " (" + cudaGetErrorName(status) + ").");
}

}  // namespace aira::cuda
