// y = residual + activation(x W + bias) over panels of kPanel outputs (kernels.h).
//
// A tile is a few rows by one panel, its sums held in registers while k runs from 0 to in-1. With
// few rows the time goes into reading weights, once, front to back; with many it goes into
// arithmetic, and half-precision panels are widened a block of inputs at a time for up to
// kBlockRows rows. Measured on two cores of a Xeon with AMX (linear-bench, f16, 768 x 2304):
// prefetching raises 28 to 39 GFLOP/s at 1 row and 118 to 247 at 8; blocks raise 32 rows from 0.70
// to 0.90 of the speed of 256 rows.
#pragma once

#include "cpu/tiles_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// Rows of the largest tile: its sums, one row of weights and one broadcast fill the registers.
constexpr int kTileRows = kRegisters == 32 ? 12 : 6;
/// Inputs whose weights are widened at a time: 8 kB that stay in the first-level cache with the
/// sums of kBlockRows rows.
constexpr std::int64_t kBlockInputs = 64;
constexpr std::int64_t kBlockRows = 4 * kTileRows;

/// sums[r][o] += sum over k of x[r][k] panel[k][o], for kRows rows and one panel; rows are `stride`
/// apart. Meanwhile asks for as many weights, as they are stored, from `ahead` on.
template <int kRows, typename Weight, typename Stored>
inline void tile(const float* x, std::int64_t stride, const Weight* panel, std::int64_t inputs,
                 const std::byte* ahead, float* sums) {
  constexpr int kVectors = tile_vectors(kRows + 1, kRegisters - 1);
  constexpr auto kAheadBytes = static_cast<std::int64_t>(kPanel * sizeof(Stored));
  for (int first = 0; first < kPanel; first += kVectors * kWidth) {
    V sum[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v] = load(sums + r * kPanel + first + v * kWidth);
    }
    const Weight* weights = panel + first;
    for (std::int64_t k = 0; k < inputs; ++k, weights += kPanel) {
      if (first == 0) prefetch<kAheadBytes>(ahead + k * kAheadBytes);
      V w[kVectors];
      for (int v = 0; v < kVectors; ++v) w[v] = load(weights + v * kWidth);
      for (int r = 0; r < kRows; ++r) {
        const V xk = broadcast(x[r * stride + k]);
        for (int v = 0; v < kVectors; ++v) sum[r][v] = fma(xk, w[v], sum[r][v]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) store(sums + r * kPanel + first + v * kWidth, sum[r][v]);
    }
  }
}

template <typename Weight, typename Stored>
constexpr auto kTiles = tile_table<kTileRows>([]<int kRows>() {
  return &tile<kRows, Weight, Stored>;
});

/// sums += x panel for `rows` rows.
template <typename Stored, typename Weight>
inline void block(const float* x, std::int64_t stride, std::int64_t rows, const Weight* panel,
                  std::int64_t inputs, const std::byte* ahead, float* sums) {
  in_parts(rows, kTileRows, [&](std::int64_t row, std::int64_t height) {
    kTiles<Weight, Stored>.of[height](x + row * stride, stride, panel, inputs, ahead,
                                      sums + row * kPanel);
  });
}

/// `rows` <= kBlockRows rows of one panel.
template <typename Weight>
inline void block_rows(const LinearJob& job, std::int64_t row, std::int64_t rows,
                       const Weight* panel, float* sums) {
  const float* x = job.x + row * job.in;
  for (std::int64_t i = 0; i < rows * kPanel; i += kWidth) store(sums + i, V{});
  if (sizeof(Weight) == sizeof(float) || rows <= kTileRows) {
    const auto* ahead = reinterpret_cast<const std::byte*>(panel) + kAhead;
    return block<Weight>(x, job.in, rows, panel, job.in, ahead, sums);
  }
  alignas(64) float widened[kBlockInputs * kPanel];
  for (std::int64_t k = 0; k < job.in; k += kBlockInputs) {
    const std::int64_t inputs = job.in - k < kBlockInputs ? job.in - k : kBlockInputs;
    const Weight* weights = panel + k * kPanel;
    for (std::int64_t i = 0; i < inputs * kPanel; i += kWidth)
      store(widened + i, load(weights + i));
    const auto* next = reinterpret_cast<const std::byte*>(weights + inputs * kPanel);
    block<Weight>(x + k, job.in, rows, widened, inputs, next, sums);
  }
}

template <typename Weight>
void linear(const LinearJob& job, std::int64_t begin, std::int64_t end) {
  alignas(64) float sums[kBlockRows * kPanel];
  for (std::int64_t p = begin; p < end; ++p) {
    const Weight* panel = static_cast<const Weight*>(job.panels) + p * job.in * kPanel;
    in_parts(job.rows, kBlockRows, [&](std::int64_t row, std::int64_t rows) {
      block_rows(job, row, rows, panel, sums);
      finish(job, row, rows, p * kPanel, sums);
    });
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
