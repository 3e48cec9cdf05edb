// The words of CUDA C++ that need no machinery: function qualifiers, vector types, the indices of
// the running thread, and memory that belongs to a block.
#pragma once

#include <cstddef>
#include <cstdint>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)

// Nothing here is a member of a namespace, nor named to this project's taste: the names are CUDA's.
// NOLINTBEGIN(readability-identifier-naming)
#define AIRA_VECTOR_TYPES(scalar, name, alignment2, alignment4)                        \
  struct name##1 {                                                                     \
    scalar x;                                                                          \
  };                                                                                   \
  struct alignas(alignment2) name##2 {                                                 \
    scalar x, y;                                                                       \
  };                                                                                   \
  struct name##3 {                                                                     \
    scalar x, y, z;                                                                    \
  };                                                                                   \
  struct alignas(alignment4) name##4 {                                                 \
    scalar x, y, z, w;                                                                 \
  };                                                                                   \
  constexpr name##1 make_##name##1(scalar x) { return {x}; }                           \
  constexpr name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }              \
  constexpr name##3 make_##name##3(scalar x, scalar y, scalar z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) { return {x, y, z, w}; }
AIRA_VECTOR_TYPES(signed char, char, 2, 4)
AIRA_VECTOR_TYPES(unsigned char, uchar, 2, 4)
AIRA_VECTOR_TYPES(short, short, 4, 8)
AIRA_VECTOR_TYPES(unsigned short, ushort, 4, 8)
AIRA_VECTOR_TYPES(int, int, 8, 16)
AIRA_VECTOR_TYPES(unsigned, uint, 8, 16)
AIRA_VECTOR_TYPES(long long, longlong, 16, 16)
AIRA_VECTOR_TYPES(unsigned long long, ulonglong, 16, 16)
AIRA_VECTOR_TYPES(float, float, 8, 16)
AIRA_VECTOR_TYPES(double, double, 16, 16)
#undef AIRA_VECTOR_TYPES

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

// Of the thread that runs; the scheduler sets them. Reading them in host code is a mistake.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

// Loads and stores with cache hints.
#define AIRA_CACHED_LOAD(name)         \
  template <typename T>                \
  __forceinline__ T name(const T* p) { \
    return *p;                         \
  }
AIRA_CACHED_LOAD(__ldg)
AIRA_CACHED_LOAD(__ldca)
AIRA_CACHED_LOAD(__ldcg)
AIRA_CACHED_LOAD(__ldcs)
AIRA_CACHED_LOAD(__ldlu)
AIRA_CACHED_LOAD(__ldcv)
#undef AIRA_CACHED_LOAD
#define AIRA_CACHED_STORE(name)              \
  template <typename T>                      \
  __forceinline__ void name(T* p, T value) { \
    *p = value;                              \
  }
AIRA_CACHED_STORE(__stwb)
AIRA_CACHED_STORE(__stcg)
AIRA_CACHED_STORE(__stcs)
AIRA_CACHED_STORE(__stwt)
#undef AIRA_CACHED_STORE
// NOLINTEND(readability-identifier-naming)

namespace cuda_on_host {

/// The running block's memory for `key`: exactly `bytes`, all 0xff when the block starts.
void* shared_memory(const void* key, std::size_t bytes, std::size_t alignment);
/// The running block's memory of the size that the launch gave.
void* dynamic_shared_memory();

// Asynchronous copies arrive at the wait and not before; until then the destination is
// 0xff. Memory is touched here, in instrumented code: both ends at the start and at the wait, as
// the copy may happen at any time between.
struct CopyEnds {
  void* to;
  const void* from;
  std::size_t bytes;  // a multiple of 16
};
void remember_copy(CopyEnds ends);
/// Whether one is left to arrive that is not of the last `groups` groups; then it is forgotten.
bool next_copy(int groups, CopyEnds& ends);
void copy_async_commit();

inline void copy_now(const CopyEnds& ends) {
  for (std::size_t i = 0; i < ends.bytes / sizeof(uint4); ++i) {
    static_cast<uint4*>(ends.to)[i] = static_cast<const uint4*>(ends.from)[i];
  }
}
inline void copy_async(void* shared, const void* global, std::size_t bytes) {
  const CopyEnds ends = {shared, global, bytes};
  remember_copy(ends);
  copy_now(ends);
  for (std::size_t i = 0; i < bytes / sizeof(uint4); ++i) {
    static_cast<uint4*>(shared)[i] = {~0U, ~0U, ~0U, ~0U};
  }
}

/// Fails the kernel unless bulk copies brought all bytes that were expected.
void check_bulk_copies(std::uint64_t missing);

inline void copy_async_wait(int groups) {
  CopyEnds ends = {};
  while (next_copy(groups, ends)) {
    copy_now(ends);
  }
}

void grid_dependency_wait();

}  // namespace cuda_on_host
