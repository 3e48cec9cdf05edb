// y = residual + activation(x W + bias) over panels of kPanel outputs (kernels.h).
//
// A tile is a few rows by one panel, its sums held in registers while k runs from 0 to in-1. With
// few rows the time goes into reading weights, which this does once, front to back; with many rows
// it goes into arithmetic, and half-precision panels are widened once for all rows.
#pragma once

#include "cpu/epilogue_impl.h"
#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// Rows of the largest tile: its sums, one row of weights and one broadcast fill the registers.
constexpr int kTileRows = kRegisters == 32 ? 12 : 6;
/// From this many rows on, widening a half-precision panel first is cheaper than in every tile.
constexpr std::int64_t kWidenRows = 2 * kTileRows;

/// Vectors of outputs that a tile of `rows` rows takes at a time.
constexpr int tile_vectors(int rows) {
  int vectors = static_cast<int>(kPanel) / kWidth;
  while (vectors > 1 && (rows + 1) * vectors + 1 > kRegisters) vectors /= 2;
  return vectors;
}

/// sums[r][o] = sum over k of x[r][k] panel[k][o], for kRows rows and one panel.
template <int kRows, typename Weight>
inline void tile(const float* x, const Weight* panel, std::int64_t in, float* sums) {
  constexpr int kVectors = tile_vectors(kRows);
  for (int first = 0; first < kPanel; first += kVectors * kWidth) {
    V sum[kRows][kVectors];
    for (auto& row : sum) {
      for (V& s : row) s = zero();
    }
    const Weight* weights = panel + first;
    for (std::int64_t k = 0; k < in; ++k, weights += kPanel) {
      V w[kVectors];
      for (int v = 0; v < kVectors; ++v) w[v] = load(weights + v * kWidth);
      for (int r = 0; r < kRows; ++r) {
        const V xk = broadcast(x[r * in + k]);
        for (int v = 0; v < kVectors; ++v) sum[r][v] = fma(xk, w[v], sum[r][v]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        store(sums + r * kPanel + first + v * kWidth, sum[r][v]);
      }
    }
  }
}

template <typename Weight>
using TileFunction = void (*)(const float*, const Weight*, std::int64_t, float*);

/// The tile functions for 1..kTileRows rows.
template <typename Weight>
struct Tiles {
  TileFunction<Weight> of[static_cast<std::size_t>(kTileRows) + 1] = {};
  template <int kRows>
  constexpr void fill() {
    of[kRows] = &tile<kRows, Weight>;
    if constexpr (kRows > 1) fill<kRows - 1>();
  }
  constexpr Tiles() { fill<kTileRows>(); }
};

/// All rows of one panel, in tiles of nearly equal height.
template <typename Weight>
inline void panel_rows(const LinearJob& job, const Weight* panel, std::int64_t first) {
  static constexpr Tiles<Weight> kTiles;
  alignas(64) float sums[kTileRows * kPanel];
  std::int64_t tiles = (job.rows + kTileRows - 1) / kTileRows;
  for (std::int64_t row = 0; tiles > 0; --tiles) {
    const std::int64_t rows = (job.rows - row + tiles - 1) / tiles;
    kTiles.of[rows](job.x + row * job.in, panel, job.in, sums);
    finish(job, row, rows, first, sums);
    row += rows;
  }
}

template <typename Weight>
void linear(const LinearJob& job, std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t panel_size = job.in * kPanel;
  for (std::int64_t p = begin; p < end; ++p) {
    const Weight* panel = static_cast<const Weight*>(job.panels) + p * panel_size;
    if (sizeof(Weight) == sizeof(float) || job.rows < kWidenRows) {
      panel_rows(job, panel, p * kPanel);
    } else {
      for (std::int64_t i = 0; i < panel_size; i += kWidth) store(scratch + i, load(panel + i));
      panel_rows(job, scratch, p * kPanel);
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
