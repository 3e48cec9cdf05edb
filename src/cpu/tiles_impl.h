// What all linear maps share: tables of tile functions, prefetching, and the epilogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cpu/kernels.h"
#include "cpu/math_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// A table `of` functions, of[n] = pick<n>() for n in 1..kMost: tiles whose number of rows is known
/// when compiling keep their sums in registers.
template <int kMost, typename Pick>
constexpr auto tile_table(const Pick& pick) {
  struct {
    decltype(pick.template operator()<1>()) of[kMost + 1];
  } table{};
  [&]<int... kRows>(std::integer_sequence<int, kRows...>) {
    ((table.of[kRows + 1] = pick.template operator()<kRows + 1>()), ...);
  }
  (std::make_integer_sequence<int, kMost>{});
  return table;
}

/// Vectors of outputs that a tile takes at a time, where each needs `each` of `registers`.
constexpr int tile_vectors(int each, int registers) {
  int vectors = static_cast<int>(kPanel) / kWidth;
  while (vectors > 1 && each * vectors > registers) vectors /= 2;
  return vectors;
}

/// Calls body(first, count) for the parts of 0..total-1: as few as possible, nearly equal in size,
/// none larger than `most`.
template <typename Body>
inline void in_parts(std::int64_t total, std::int64_t most, const Body& body) {
  std::int64_t parts = (total + most - 1) / most;
  for (std::int64_t first = 0; parts > 0; --parts) {
    const std::int64_t count = (total - first + parts - 1) / parts;
    body(first, count);
    first += count;
  }
}

/// How many bytes ahead of the weights in use to prefetch. The hardware prefetcher stops at each
/// page and keeps too few lines in flight: without this, one core reads at half its speed.
constexpr std::int64_t kAhead = 4096;

/// The lines of `kBytes` bytes; `kLocality` 3 is the first-level cache, 2 the second.
template <std::int64_t kBytes, int kLocality = 3>
inline void prefetch(const std::byte* p) {
  for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(p + i, 0, kLocality);
}

/// Bias, activation and residual for `rows` rows of sums, outputs [first, first + kPanel).
inline void finish(const LinearJob& job, std::int64_t row, std::int64_t rows, std::int64_t first,
                   const float* sums) {
  const std::int64_t count = job.out - first < kPanel ? job.out - first : kPanel;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t at = (row + r) * job.out + first;
    for (std::int64_t o = 0; o < count; o += kWidth) {
      V y = load(sums + r * kPanel + o);
      if (job.bias != nullptr) y = y + load_some(job.bias + first + o, count - o);
      y = activate(y, job.activation);
      if (job.residual != nullptr) y = load_some(job.residual + at + o, count - o) + y;
      store_some(job.y + at + o, y, count - o);
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
