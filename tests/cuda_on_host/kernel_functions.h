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
  cuda_on_host::copy_async(shared, there ? global : zeros, 16);
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

#define AIRA_WARPGROUPS
struct BulkBarrier {
  std::uint64_t state;
};
inline void bulk_barrier_init(BulkBarrier& barrier) { barrier.state = 0; }
inline void bulk_copy_expect(BulkBarrier& barrier, int bytes) {
  barrier.state += static_cast<std::uint64_t>(bytes);
}
/// Copies of the thread, which arrive when it waits for its others.
inline void bulk_copy(void* shared, const void* global, int bytes, BulkBarrier& barrier) {
  barrier.state -= static_cast<std::uint64_t>(bytes);
  cuda_on_host::copy_async(shared, global, static_cast<std::size_t>(bytes));
}
inline void bulk_copy_wait(const BulkBarrier& barrier, int /*parity*/) {
  cuda_on_host::check_bulk_copies(barrier.state);
}
inline void warpgroup_begin() {}
inline void warpgroup_end() {}
/// At once, by each warp for itself.
template <int kRows, int kPiecePitch, int kOctetPitch>
void warpgroup_multiply(float (&d)[kRows / 2], const std::uint32_t (&a)[4], const void* shared,
                        bool accumulate,
                        std::source_location where = std::source_location::current()) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const auto* own = static_cast<const unsigned char*>(shared) + lane / 4 * 16 + lane % 4 * 4;
  for (int j = 0; j < kRows / 8; ++j, own += kOctetPitch) {
    const std::uint32_t b[2] = {*reinterpret_cast<const std::uint32_t*>(own),
                                *reinterpret_cast<const std::uint32_t*>(own + kPiecePitch)};
    float products[4];
    for (int i = 0; i < 4; ++i) products[i] = accumulate ? d[4 * j + i] : 0.0F;
    cuda_on_host::mma_m16n8k16(products, a, b, where);
    for (int i = 0; i < 4; ++i) d[4 * j + i] = products[i];
  }
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
