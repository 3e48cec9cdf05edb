// Calling CUDA: errors become exceptions. Kernels are launched through launch(), never by `<<<>>>`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include "aira/error.h"

// The CUDA runtime's declarations: for nvcc, for g++ beside the toolkit (host code of src/cuda),
// and for g++ with the stand-in of tests/cuda_on_host.
#ifdef AIRA_CUDA_ON_HOST
#include <cuda_on_host.h>
#else
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#endif

namespace aira::cuda {

/// Throws Error when `status` is a failure; `what` says what was being done: "allocating 3 MB".
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // an error that was reported is not reported again
  throw Error("[E500] The GPU failed while {}: {} ({}).",
              {message(what), cudaGetErrorString(status), cudaGetErrorName(status)});
}

/// Where a kernel is launched. `dependent` asks for programmatic dependent launch: the kernel may
/// start while its predecessor in the stream is running, and must call grid_dependency_wait()
/// before it touches anything that an earlier kernel writes.
struct Stream {
  cudaStream_t stream = nullptr;
  bool dependent = false;
};

struct Launch {
  dim3 grid = {1, 1, 1};
  dim3 block = {1, 1, 1};
  std::size_t shared_bytes = 0;  // of block_shared_dynamic
  Stream stream = {};
  const char* name = "a kernel";  // for messages; a string literal
};

inline int device_attribute(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&value, attribute, device), "asking what the device has");
  return value;
}
inline int multiprocessors() {
  static const int count = device_attribute(cudaDevAttrMultiProcessorCount);
  return count;
}
/// Dynamic shared memory that a block may have, when it asks.
inline std::int64_t most_shared() {
  static const int bytes = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return bytes;
}

/// Lets a kernel have this much dynamic shared memory; beyond 48 KiB a GPU wants to be asked.
template <typename... P>
void allow_shared(void (*kernel)(P...), std::int64_t bytes) {
  constexpr std::int64_t kWithoutAsking = 48 << 10;
  if (bytes <= kWithoutAsking) return;
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "asking for shared memory");
}

#ifdef AIRA_CUDA_ON_HOST

template <typename... P, typename... A>
void launch(const Launch& how, void (*kernel)(P...), A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel has no default arguments");
  const cuda_on_host::LaunchShape shape = {
      how.grid, how.block, how.shared_bytes, how.stream.stream, how.stream.dependent, how.name};
  check(cuda_on_host::launch(shape, reinterpret_cast<const void*>(kernel),
                             [kernel, copies = std::tuple<P...>(std::forward<A>(arguments)...)] {
                               std::apply(kernel, copies);
                             }),
        (std::string("starting ") + how.name).c_str());
}

#elif defined(__CUDACC__)

/// Whether the module's code for this GPU contains the wait (sm_90 or later), which `kernel`, like
/// every other, tells; without it an early start would be a race.
inline bool may_start_early(const void* kernel) {
  static const bool may = [&] {
    cudaFuncAttributes attributes = {};
    check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's attributes");
    return attributes.ptxVersion >= 90 && attributes.binaryVersion >= 90;
  }();
  return may;
}

template <typename... P, typename... A>
void launch(const Launch& how, void (*kernel)(P...), A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel has no default arguments");
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = how.grid;
  config.blockDim = how.block;
  config.dynamicSmemBytes = how.shared_bytes;
  config.stream = how.stream.stream;
  config.attrs = &attribute;
  config.numAttrs =
      how.stream.dependent && may_start_early(reinterpret_cast<const void*>(kernel)) ? 1 : 0;
  const cudaError_t status =
      cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(arguments))...);
  if (status != cudaSuccess) {
    check(status, message("starting {}", {how.name}).c_str());
  }
}

#endif

}  // namespace aira::cuda
