// Starting a kernel: the one way it is done, `<<<>>>` is never written. Every launch is checked,
// and a failure names the kernel. `dependent` asks for programmatic dependent launch: the kernel
// may start while the one before it in the stream still runs, and must call grid_dependency_wait()
// before it touches anything that an earlier kernel writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "kernels/check.h"

namespace aira::cuda {

struct Launch {
  dim3 grid = {1, 1, 1};
  dim3 block = {1, 1, 1};
  std::size_t shared_bytes = 0;  // of block_shared_dynamic
  cudaStream_t stream = nullptr;
  bool dependent = false;
  const char* name = "a kernel";  // for messages; a string literal
};

/// Of the current device.
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
  const cuda_on_host::LaunchShape shape = {how.grid,   how.block,     how.shared_bytes,
                                           how.stream, how.dependent, how.name};
  check(cuda_on_host::launch(shape, reinterpret_cast<const void*>(kernel),
                             [kernel, copies = std::tuple<P...>(std::forward<A>(arguments)...)] {
                               std::apply(kernel, copies);
                             }),
        (std::string("starting ") + how.name).c_str());
}

#elif defined(__CUDACC__)

/// Whether `kernel`'s code contains the wait (compiled for sm_90 or later) and the GPU knows it;
/// without it an early start would be a race.
inline bool may_start_early(const void* kernel) {
  static std::mutex mutex;
  static std::unordered_map<const void*, bool> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(kernel);
  if (found != known.end()) return found->second;
  cudaFuncAttributes attributes = {};
  check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's attributes");
  return known[kernel] = attributes.ptxVersion >= 90 && attributes.binaryVersion >= 90;
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
  config.stream = how.stream;
  config.attrs = &attribute;
  const bool early = how.dependent && may_start_early(reinterpret_cast<const void*>(kernel));
  config.numAttrs = early ? 1 : 0;
  const cudaError_t status =
      cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(arguments))...);
  if (status != cudaSuccess) check(status, (std::string("starting ") + how.name).c_str());
}

#endif

}  // namespace aira::cuda
