// The functions of kernels/device.h, which documents them, for kernels on the host. Collectives
// pass on where they were called from: that is how the host tells them apart.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda_on_host.h"

namespace aira::cuda {

inline float warp_sum(float value, std::source_location where = std::source_location::current()) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance, 32, where);
  }
  return value;
}

template <typename T>
T& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<T>, "shared memory is not constructed");
  static const char kind = 0;
  return *static_cast<T*>(cuda_on_host::shared_memory(&kind, sizeof(T), alignof(T)));
}

template <typename T>
T* block_shared_dynamic() {
  return static_cast<T*>(cuda_on_host::dynamic_shared_memory());
}

inline void copy_async_16(void* shared, const void* global, bool there = true) {
  alignas(16) static const unsigned char zeros[16] = {};
  cuda_on_host::copy_async_16(shared, there ? global : zeros);
}
inline void copy_async_commit() { cuda_on_host::copy_async_commit(); }
template <int groups>
void copy_async_wait() {
  cuda_on_host::copy_async_wait(groups);
}

inline void grid_dependency_wait() { cuda_on_host::grid_dependency_wait(); }
inline void grid_dependency_trigger() {}

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

}  // namespace aira::cuda
