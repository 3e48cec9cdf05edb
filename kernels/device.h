// What kernels are written with, and the one header that each of them includes. Everything that is
// not plain CUDA C++ (PTX, tensor cores, asynchronous copies, dependent launches) is a named
// function here, with a body for nvcc and one for the host build of tests/cuda_on_host, which runs
// the same .cu sources without a GPU. Host code of src/cuda gets only the declarations.
#pragma once

#include "kernels/check.h"
#include "kernels/launch.h"
#include "kernels/tensor_core.h"

#if defined(__CUDACC__) || defined(AIRA_CUDA_ON_HOST)

#include <type_traits>

namespace aira::cuda {

/// The block's own T in shared memory, uninitialised: the same object for every thread of the
/// block and for every call with the same T.
template <typename T>
__device__ __forceinline__ T& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<T>, "shared memory is not constructed");
#ifdef AIRA_CUDA_ON_HOST
  static const char kind = 0;
  return *static_cast<T*>(cuda_on_host::shared_memory(&kind, sizeof(T), alignof(T)));
#else
  __shared__ alignas(16) T object;
  return object;
#endif
}

/// The shared memory whose size the launch gave, as Ts; on a 16-byte boundary.
template <typename T>
__device__ __forceinline__ T* block_shared_dynamic() {
#ifdef AIRA_CUDA_ON_HOST
  return static_cast<T*>(cuda_on_host::dynamic_shared_memory());
#else
  extern __shared__ uint4 aira_dynamic_shared[];
  return reinterpret_cast<T*>(aira_dynamic_shared);
#endif
}

/// Starts copying 16 bytes to shared memory past the L1 cache; both addresses on 16-byte
/// boundaries. The bytes may arrive at any time until a wait, and are there after it for the
/// thread that copied; for others after a barrier as well.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global) {
#ifdef AIRA_CUDA_ON_HOST
  cuda_on_host::copy_async_16(shared, global);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
               :
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global)
               : "memory");
#else
  *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
#endif
}

/// The same where `there`; else starts writing zeros, and `global` is not read.
__device__ __forceinline__ void copy_async_16_or_zeros(void* shared, const void* global,
                                                       bool there) {
#ifdef AIRA_CUDA_ON_HOST
  alignas(16) static const unsigned char zeros[16] = {};
  cuda_on_host::copy_async_16(shared, there ? global : zeros);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global),
                 "r"(there ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(shared) =
      there ? *static_cast<const uint4*>(global) : make_uint4(0, 0, 0, 0);
#endif
}

/// Closes the group of copies that this thread started since the last commit.
__device__ __forceinline__ void copy_async_commit() {
#ifdef AIRA_CUDA_ON_HOST
  cuda_on_host::copy_async_commit();
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the last `groups` groups of this thread's are still on their way.
template <int groups>
__device__ __forceinline__ void copy_async_wait() {
#ifdef AIRA_CUDA_ON_HOST
  cuda_on_host::copy_async_wait(groups);
#elif !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
#endif
}

/// In a kernel launched as dependent: waits until the kernels before it are done and their results
/// can be read. Does nothing in other kernels.
__device__ __forceinline__ void grid_dependency_wait() {
#ifdef AIRA_CUDA_ON_HOST
  cuda_on_host::grid_dependency_wait();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets a dependent kernel start once every block has called this or ended. It says nothing about
/// what was written before the call.
__device__ __forceinline__ void grid_dependency_trigger() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

constexpr unsigned kWholeWarp = 0xffffffffU;

// The host build tells collectives apart by where they are called from; one in a function here must
// pass on where that was called from.
#ifdef AIRA_CUDA_ON_HOST
#define AIRA_CALLED_FROM , std::source_location where = std::source_location::current()
#define AIRA_CALLER , 32, where
#else
#define AIRA_CALLED_FROM
#define AIRA_CALLER
#endif

/// The sum over the warp, the same bits in every lane. All 32 lanes must call.
__device__ __forceinline__ float warp_sum(float value AIRA_CALLED_FROM) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance AIRA_CALLER);
  }
  return value;
}

}  // namespace aira::cuda

#endif
