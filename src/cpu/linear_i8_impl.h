// linear_impl.h's map in int8: within a group, products are added as whole numbers, exactly; the
// groups' sums, times both scales, are one chain of fused multiply-adds. So results have the same
// bits for every tile and every instruction set.
#pragma once

#include "cpu/tiles_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// Rows of the largest tile: the whole numbers' sums fill half of the registers.
constexpr int kTileRowsI8 = kRegisters == 32 ? 8 : 4;

/// Some rows of a row tile.
struct TileRowsI8 {
  const std::int8_t* values;  // [groups][height][kGroup]
  const float* scales;        // [groups][height]
  const std::int32_t* offsets;
  std::int64_t height;
};

/// sums[r][o] = x[r] W[.][o] for kRows rows and one panel.
template <int kRows>
inline void tile_i8(const TileRowsI8& x, const std::byte* panel, std::int64_t groups, float* sums) {
  constexpr int kVectors = tile_vectors(kRows, kRegisters / 2);
  for (int first = 0; first < kPanel; first += kVectors * kWidth) {
    V sum[kRows][kVectors] = {};
    const std::byte* group = panel;
    for (std::int64_t g = 0; g < groups; ++g, group += kGroupBytes) {
      const std::int64_t at = g * x.height;
      const std::int8_t* values = x.values + at * kGroup;
      const std::byte* weights = group + kPanel * 2 + first * 4;
      I whole[kRows][kVectors];
      for (int r = 0; r < kRows; ++r) {
        for (I& s : whole[r]) s = first_sum(x.offsets[at + r]);
      }
      for (int k = 0; k < kGroup; k += 4, weights += kPanel * 4) {
        if (first == 0) prefetch<kPanel * 4>(weights + kAhead);
        Weights w[kVectors];
        for (int v = 0; v < kVectors; ++v) w[v] = load_weights(weights + v * kWidth * 4);
        for (int r = 0; r < kRows; ++r) {
          const Four four = broadcast_four(values + r * kGroup + k);
          for (int v = 0; v < kVectors; ++v) whole[r][v] = dot4(whole[r][v], w[v], four);
        }
      }
      const auto* scales = reinterpret_cast<const std::uint16_t*>(group) + first;
      for (int v = 0; v < kVectors; ++v) {
        const V weight_scale = load_bf16(scales + v * kWidth);
        for (int r = 0; r < kRows; ++r) {
          const V scale = broadcast(x.scales[at + r]) * weight_scale;
          sum[r][v] = fused(to_float(whole[r][v]), scale, sum[r][v]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) store(sums + r * kPanel + first + v * kWidth, sum[r][v]);
    }
  }
}

constexpr auto kTilesI8 = tile_table<kTileRowsI8>([]<int kRows>() { return &tile_i8<kRows>; });

/// One panel and the row tile that begins at row `tile`.
inline void row_tile_i8(const LinearJob& job, std::int64_t tile, const std::byte* panel,
                        std::int64_t first) {
  alignas(64) float sums[kTileRowsI8 * kPanel];
  const std::int64_t groups = groups_of(job.in);
  const std::int64_t height = tile_height(job.rows, tile);
  in_parts(height, kTileRowsI8, [&](std::int64_t row, std::int64_t rows) {
    const std::int64_t at = tile * groups + row;
    const TileRowsI8 x{job.quantized.values + at * kGroup, job.quantized.scales + at,
                       job.quantized.offsets + at, height};
    kTilesI8.of[rows](x, panel, groups, sums);
    finish(job, tile + row, rows, first, sums);
  });
}

inline void linear_i8(const LinearJob& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t p = begin; p < end; ++p) {
    const std::byte* panel =
        static_cast<const std::byte*>(job.panels) + p * panel_bytes(DType::kI8, job.in);
    for (std::int64_t tile = 0; tile < job.rows; tile += kRowTile) {
      row_tile_i8(job, tile, panel, p * kPanel);
    }
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
