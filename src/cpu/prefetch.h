// Asking for memory before it is needed. Weights are read from front to back, but the processor's
// own look-ahead stops at each page and keeps too few lines on their way: without this, one core
// reads half of what it could.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aira::cpu {

/// How far ahead of the weights in use, in bytes.
constexpr std::int64_t kAhead = 4096;

/// The lines of `kBytes` bytes; `kLocality` 3 is the first-level cache, 2 the second.
template <std::int64_t kBytes, int kLocality = 3>
inline void prefetch(const std::byte* p) {
  for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(p + i, 0, kLocality);
}

}  // namespace aira::cpu
