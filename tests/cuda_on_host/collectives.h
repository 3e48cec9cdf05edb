// What the threads of a block or the lanes of a warp do together. Every call carries the place it
// was made from: a collective that not everyone reaches is an error that names it. Barriers order
// memory for ThreadSanitizer; shuffles, votes and matches do not, as in CUDA.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "source_location.h"

namespace cuda_on_host {

using Where = std::source_location;

enum class BlockVote : std::uint8_t { kNone, kAny, kAll, kCount };
int block_barrier(BlockVote vote, bool predicate, Where where);
void warp_barrier(unsigned mask, Where where);
/// `value` of lane `source`, which must be in the mask and alive.
std::uint64_t exchange(unsigned mask, std::uint64_t value, int source, Where where);
/// The lanes of the mask whose predicate holds.
unsigned ballot(unsigned mask, bool predicate, Where where);
/// The lanes of the mask whose value is the same.
unsigned match(unsigned mask, std::uint64_t value, Where where);
unsigned active_lanes();
/// The running thread's number within its warp.
int lane();
void thread_fence();

template <typename T>
T exchange_object(unsigned mask, T value, int source, Where where) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(mask, bits, source, where);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

}  // namespace cuda_on_host

#define AIRA_WHERE cuda_on_host::Where where = cuda_on_host::Where::current()

inline void __syncthreads(AIRA_WHERE) {
  cuda_on_host::block_barrier(cuda_on_host::BlockVote::kNone, false, where);
}
inline int __syncthreads_or(int predicate, AIRA_WHERE) {
  return cuda_on_host::block_barrier(cuda_on_host::BlockVote::kAny, predicate != 0, where);
}
inline int __syncthreads_and(int predicate, AIRA_WHERE) {
  return cuda_on_host::block_barrier(cuda_on_host::BlockVote::kAll, predicate != 0, where);
}
inline int __syncthreads_count(int predicate, AIRA_WHERE) {
  return cuda_on_host::block_barrier(cuda_on_host::BlockVote::kCount, predicate != 0, where);
}
inline void __syncwarp(unsigned mask = 0xffffffffU, AIRA_WHERE) {
  cuda_on_host::warp_barrier(mask, where);
}

// A shuffle within sections of `width` lanes; one that would leave its section keeps its own value.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, AIRA_WHERE) {
  const int first = cuda_on_host::lane() & ~(width - 1);
  return cuda_on_host::exchange_object(mask, value, first + (source & (width - 1)), where);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, AIRA_WHERE) {
  const int lane = cuda_on_host::lane();
  const int source = lane - static_cast<int>(distance);
  const bool leaves = source < (lane & ~(width - 1));
  return cuda_on_host::exchange_object(mask, value, leaves ? lane : source, where);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, AIRA_WHERE) {
  const int lane = cuda_on_host::lane();
  const int source = lane + static_cast<int>(distance);
  const bool leaves = source > (lane | (width - 1));
  return cuda_on_host::exchange_object(mask, value, leaves ? lane : source, where);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, AIRA_WHERE) {
  const int lane = cuda_on_host::lane();
  const int source = lane ^ lanes;
  const bool leaves = source > (lane | (width - 1));
  return cuda_on_host::exchange_object(mask, value, leaves ? lane : source, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, AIRA_WHERE) {
  return cuda_on_host::ballot(mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, AIRA_WHERE) {
  return cuda_on_host::ballot(mask, predicate != 0, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, AIRA_WHERE) {
  return cuda_on_host::ballot(mask, predicate == 0, where) == 0;
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T value, AIRA_WHERE) {
  return cuda_on_host::match(mask, cuda_on_host::bits_of(value), where);
}
inline unsigned __activemask() { return cuda_on_host::active_lanes(); }
inline int __reduce_add_sync(unsigned mask, int value, AIRA_WHERE) {
  int sum = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) != 0) sum += cuda_on_host::exchange_object(mask, value, lane, where);
  }
  return sum;
}

#undef AIRA_WHERE

// Orders what this thread wrote before its next atomic operation (see atomics.h).
inline void __threadfence() { cuda_on_host::thread_fence(); }
inline void __threadfence_block() { cuda_on_host::thread_fence(); }
inline void __threadfence_system() { cuda_on_host::thread_fence(); }
