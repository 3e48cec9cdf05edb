// What kernels are written with, included by each of them. Everything that is not plain CUDA C++
// (PTX, tensor cores, asynchronous copies, dependent launches) is a named function here. The host
// build of tests/cuda_on_host, which runs the same .cu sources without a GPU, has bodies of its own
// for them (kernel_functions.h).
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/launch.h"

namespace aira::cuda {
constexpr unsigned kWholeWarp = 0xffffffffU;
}

#ifdef AIRA_CUDA_ON_HOST
#include <kernel_functions.h>
#else

namespace aira::cuda {

/// The sum over the warp, the same bits in every lane. All 32 lanes must call.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

/// The block's own T in shared memory, uninitialised: the same object for every thread of the
/// block and for every call with the same T.
template <typename T>
__device__ __forceinline__ T& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<T>, "shared memory is not constructed");
  __shared__ alignas(16) T object;
  return object;
}

/// The dynamic shared memory of the launch, as Ts; on a 16-byte boundary.
template <typename T>
__device__ __forceinline__ T* block_shared_dynamic() {
  extern __shared__ uint4 aira_dynamic_shared[];
  return reinterpret_cast<T*>(aira_dynamic_shared);
}

/// Starts copying 16 bytes to shared memory past the L1 cache, or, unless `there`, starts writing
/// zeros without reading `global`. Both addresses are on 16-byte boundaries. The bytes may arrive
/// at any time until a wait; after it the thread that copied sees them, others after a barrier as
/// well.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, bool there = true) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
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
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the last `groups` groups of this thread are incomplete.
template <int groups>
__device__ __forceinline__ void copy_async_wait() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
#endif
}

/// In a kernel launched as dependent: waits until the kernels before it are done and their results
/// can be read. Does nothing in other kernels.
__device__ __forceinline__ void grid_dependency_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
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

// Tensor cores: all 32 lanes must call together. Fragments, as PTX lays them out, for lane L with
// g = L / 4 and t = L % 4; two halves a word, the lower index in the low bits:
//   a: 16x16, rows m, columns k   a[0] (g, 2t..)  a[1] (g + 8, 2t..)  a[2] (g, 2t + 8..)
//                                 a[3] (g + 8, 2t + 8..)
//   b: 16x8, rows k, columns n    b[0] (2t.., g)  b[1] (2t + 8.., g)
//   d: 16x8 floats                d[0..1] (g, 2t..)  d[2..3] (g + 8, 2t..)

/// d += a b.
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  for (int half_of_k = 0; half_of_k < 2; ++half_of_k) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[2 * half_of_k]), "r"(a[2 * half_of_k + 1]), "r"(b[half_of_k]));
  }
#endif
}

// The tensor-core instructions of Hopper, by the 128 threads of four warps, a warpgroup, together.
// They run asynchronously and read shared memory past the order of ordinary accesses.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define AIRA_WARPGROUPS
#endif

/// What bulk copies to shared memory report to; in shared memory, used by one thread.
struct BulkBarrier {
  std::uint64_t state;
};
__device__ __forceinline__ void bulk_barrier_init(BulkBarrier& barrier) {
#ifdef AIRA_WARPGROUPS
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1; fence.mbarrier_init.release.cluster;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(&barrier)))
               : "memory");
#endif
}
/// Before copies of so many bytes in all.
__device__ __forceinline__ void bulk_copy_expect(BulkBarrier& barrier, int bytes) {
#ifdef AIRA_WARPGROUPS
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(&barrier))),
               "r"(bytes)
               : "memory");
#endif
}
/// Starts copying; both addresses and `bytes` are multiples of 16. Unlike other copies, these may
/// be followed by warpgroup_multiply without a fence.
__device__ __forceinline__ void bulk_copy(void* shared, const void* global, int bytes,
                                          BulkBarrier& barrier) {
#ifdef AIRA_WARPGROUPS
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global), "r"(bytes), "r"(static_cast<unsigned>(__cvta_generic_to_shared(&barrier)))
      : "memory");
#endif
}
/// Waits for the copies of the n-th expectation, n even or odd as `parity` says. After a barrier of
/// the block others see what came too.
__device__ __forceinline__ void bulk_copy_wait(BulkBarrier& barrier, int parity) {
#ifdef AIRA_WARPGROUPS
  asm volatile(
      "{.reg .pred p;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@!p bra again;}" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(&barrier))),
      "r"(parity)
      : "memory");
#endif
}

/// Before the first of some warpgroup_multiply: their registers were written.
__device__ __forceinline__ void warpgroup_begin() {
#ifdef AIRA_WARPGROUPS
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
/// Waits until all of them are done; until then their registers and operands must not be touched.
__device__ __forceinline__ void warpgroup_end() {
#ifdef AIRA_WARPGROUPS
  asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
}

/// d += a x, or without `accumulate` d = a x. `a` is the warp's 16x16 as for mma_m16n8k16, d[4 j]
/// to d[4 j + 3] its products with the rows 8 j to 8 j + 7. x in shared memory: eight rows' first
/// eight halves are 128 bytes in a row, from an address on a 16-byte boundary; their other eight
/// kPiecePitch bytes later, the next eight rows kOctetPitch bytes later.
template <int kRows, int kPiecePitch, int kOctetPitch>
__device__ __forceinline__ void warpgroup_multiply(float (&d)[kRows / 2],
                                                   const std::uint32_t (&a)[4], const void* shared,
                                                   bool accumulate) {
#ifdef AIRA_WARPGROUPS
  // PTX manual, "Matrix Descriptor Format", without swizzling.
  const std::uint64_t x =
      (static_cast<std::uint64_t>(__cvta_generic_to_shared(shared)) & 0x3FFFFU) >> 4U |
      std::uint64_t{kPiecePitch / 16} << 16U | std::uint64_t{kOctetPitch / 16} << 32U;
#define AIRA_D(i) "+f"(d[i])
#define AIRA_DS(i)                                                                                \
  AIRA_D(i), AIRA_D((i) + 1), AIRA_D((i) + 2), AIRA_D((i) + 3), AIRA_D((i) + 4), AIRA_D((i) + 5), \
      AIRA_D((i) + 6), AIRA_D((i) + 7), AIRA_D((i) + 8), AIRA_D((i) + 9), AIRA_D((i) + 10),       \
      AIRA_D((i) + 11), AIRA_D((i) + 12), AIRA_D((i) + 13), AIRA_D((i) + 14), AIRA_D((i) + 15)
  static_assert(kRows == 32 || kRows == 64 || kRows == 128);
  if constexpr (kRows == 32) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %21, 0; "
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
        "}, {%16, %17, %18, %19}, %20, p, 1, 1, 0;}"
        : AIRA_DS(0)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x), "r"(accumulate ? 1 : 0));
  }
  if constexpr (kRows == 64) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %37, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, {%32, %33, %34, %35}, %36, p, 1, 1, 0;}"
        : AIRA_DS(0), AIRA_DS(16)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x), "r"(accumulate ? 1 : 0));
  }
  if constexpr (kRows == 128) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %69, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
        "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0;}"
        : AIRA_DS(0), AIRA_DS(16), AIRA_DS(32), AIRA_DS(48)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x), "r"(accumulate ? 1 : 0));
  }
#undef AIRA_DS
#undef AIRA_D
#endif
}

/// Four 8x8 tiles of halves: lane 8i + j gives the address of row j of tile i (16 bytes, aligned);
/// r[i] becomes the lane's two neighbours of tile i, row L / 4, columns 2 (L % 4)...
__device__ __forceinline__ void load_matrix_x4(std::uint32_t (&r)[4], const void* shared_row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

/// The same of the transposed tiles: r[i] becomes rows 2 (L % 4).. of column L / 4.
__device__ __forceinline__ void load_matrix_x4_transposed(std::uint32_t (&r)[4],
                                                          const void* shared_row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

}  // namespace aira::cuda

#endif
