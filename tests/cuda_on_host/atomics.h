// Atomic operations. In CUDA they are relaxed: what a thread wrote before is ordered by a fence
// only. ThreadSanitizer knows no fences, so an operation after a __threadfence() of its thread
// releases, one without does not; every operation acquires, which is what the usual "last block
// reduces" relies on.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace cuda_on_host {

/// Before every atomic operation: the scheduler may let other threads run first. True when the
/// thread has called a fence since its last atomic operation.
bool before_atomic();

/// `next` maps the old value to the new one.
template <typename T, typename Next>
T atomic_update(T* target, const Next& next) {
  const bool fenced = before_atomic();
  T old = __atomic_load_n(target, __ATOMIC_RELAXED);
  // Threads are fibres of one host thread: nothing comes between, the loop is for the type's sake.
  while (!(fenced ? __atomic_compare_exchange_n(target, &old, next(old), false, __ATOMIC_ACQ_REL,
                                                __ATOMIC_RELAXED)
                  : __atomic_compare_exchange_n(target, &old, next(old), false, __ATOMIC_ACQUIRE,
                                                __ATOMIC_RELAXED))) {
  }
  return old;
}

}  // namespace cuda_on_host

#define AIRA_ATOMIC(name, type, result)                                    \
  inline type name(type* target, type value) {                             \
    return cuda_on_host::atomic_update(target, [value](type old) -> type { \
      static_cast<void>(old);                                              \
      return result;                                                       \
    });                                                                    \
  }
#define AIRA_ATOMICS(type)                                                              \
  AIRA_ATOMIC(atomicExch, type, value)                                                  \
  AIRA_ATOMIC(atomicMin, type, value < old ? value : old)                               \
  AIRA_ATOMIC(atomicMax, type, value > old ? value : old)                               \
  AIRA_ATOMIC(atomicAnd, type, old& value)                                              \
  AIRA_ATOMIC(atomicOr, type, old | value)                                              \
  AIRA_ATOMIC(atomicXor, type, old ^ value)                                             \
  inline type atomicCAS(type* target, type expected, type value) {                      \
    return cuda_on_host::atomic_update(                                                 \
        target, [expected, value](type old) { return old == expected ? value : old; }); \
  }
AIRA_ATOMICS(int)
AIRA_ATOMICS(unsigned)
AIRA_ATOMICS(unsigned long long)
AIRA_ATOMIC(atomicAdd, unsigned, old + value)
AIRA_ATOMIC(atomicAdd, unsigned long long, old + value)
AIRA_ATOMIC(atomicSub, unsigned, old - value)
AIRA_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
AIRA_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
#undef AIRA_ATOMICS
#undef AIRA_ATOMIC

// Signed numbers wrap around, and floats are exchanged by their bits.
inline int atomicAdd(int* target, int value) {
  return static_cast<int>(
      atomicAdd(reinterpret_cast<unsigned*>(target), static_cast<unsigned>(value)));
}
inline int atomicSub(int* target, int value) {
  return static_cast<int>(
      atomicSub(reinterpret_cast<unsigned*>(target), static_cast<unsigned>(value)));
}
inline float atomicAdd(float* target, float value) {
  return std::bit_cast<float>(
      cuda_on_host::atomic_update(reinterpret_cast<unsigned*>(target), [value](unsigned old) {
        return std::bit_cast<unsigned>(std::bit_cast<float>(old) + value);
      }));
}
inline float atomicExch(float* target, float value) {
  return std::bit_cast<float>(
      atomicExch(reinterpret_cast<unsigned*>(target), std::bit_cast<unsigned>(value)));
}
