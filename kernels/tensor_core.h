// Tensor cores: a warp's product of 16x16 and 16x8 half matrices into floats, and the load that
// brings 8x8 tiles of shared memory into the registers it wants. All 32 lanes must call together.
//
// Fragments, as PTX lays them out, for lane L with g = L / 4 and t = L % 4; two halves a word, the
// lower index in the low bits:
//   a: 16x16, rows m, columns k   a[0] (g, 2t..)  a[1] (g + 8, 2t..)  a[2] (g, 2t + 8..)
//                                 a[3] (g + 8, 2t + 8..)
//   b: 16x8, rows k, columns n    b[0] (2t.., g)  b[1] (2t + 8.., g)
//   d: 16x8 floats                d[0..1] (g, 2t..)  d[2..3] (g + 8, 2t..)
#pragma once

#include <cstdint>

#include "kernels/check.h"

#if defined(__CUDACC__) || defined(AIRA_CUDA_ON_HOST)
namespace aira::cuda {

#ifdef AIRA_CUDA_ON_HOST

inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                         std::source_location where = std::source_location::current()) {
  cuda_on_host::mma_m16n8k16(d, a, b, where);
}

inline void load_matrix_x4(std::uint32_t (&r)[4], const void* shared_row,
                           std::source_location where = std::source_location::current()) {
  cuda_on_host::load_matrix(r, 4, false, shared_row, where);
}

inline void load_matrix_x4_transposed(
    std::uint32_t (&r)[4], const void* shared_row,
    std::source_location where = std::source_location::current()) {
  cuda_on_host::load_matrix(r, 4, true, shared_row, where);
}

#else

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

#endif

}  // namespace aira::cuda
#endif
