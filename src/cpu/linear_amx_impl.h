// linear_i8 with AMX-INT8: tiles of 16 rows by 16 outputs, a group of inputs at a time, for many
// rows; VNNI for few. Sums of whole numbers are exact and what follows is the same chain, so
// results have the same bits. Measured on two cores of a Xeon with AMX (linear-bench, 768 x 2304):
// 32 rows 590 GOP/s with VNNI, 1141 with AMX; 256 rows 738 and 1428; a prompt of 512 tokens of
// GPT-2 small 2221 and 4048 tokens/s.
#pragma once

#include "cpu/linear_i8_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

/// Rows from which a row tile is worth a matrix instruction.
constexpr std::int64_t kAmxRows = 6;

// Tile registers: 0 and 1 sums and inputs of whole row tiles, 2 and 3 those of the last one,
// 4 weights.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {kRowTile, kRowTile, kRowTile, kRowTile, 16};
};

/// For a job whose last row tile has `last` rows.
inline void configure(std::int64_t last) {
  TileConfig config;
  config.rows[2] = config.rows[3] = static_cast<std::uint8_t>(last);
  _tile_loadconfig(&config);
}

/// whole[r][o] = sum over a group of x[r][k] w[k][o], for a row tile and 16 outputs.
template <bool kWholeTile>
inline void multiply(const std::int8_t* x, const std::byte* weights, std::int32_t* whole) {
  _tile_loadd(4, weights, kPanel * 4);
  if constexpr (kWholeTile) {
    _tile_loadd(1, x, kGroup);
    _tile_zero(0);
    _tile_dpbssd(0, 1, 4);
    _tile_stored(0, whole, kWidth * 4);
  } else {
    _tile_loadd(3, x, kGroup);
    _tile_zero(2);
    _tile_dpbssd(2, 3, 4);
    _tile_stored(2, whole, kWidth * 4);
  }
}

/// sums[r][first + o] = x[r] W[.][first + o] for a row tile of kHeight rows and 16 outputs.
/// Meanwhile asks for half of the panel at `next`.
template <int kHeight>
inline void tile_amx(const TileRowsI8& x, const std::byte* panel, const std::byte* next,
                     std::int64_t groups, std::int64_t first, float* sums) {
  constexpr bool kWholeTile = kHeight == kRowTile;
  // A group is multiplied while the one before it is scaled and added.
  alignas(64) std::int32_t whole[2][kRowTile * kWidth];
  const std::byte* weights = panel + kPanel * 2 + first * 4;
  V sum[kHeight] = {};
  multiply<kWholeTile>(x.values, weights, whole[0]);
  for (std::int64_t g = 0; g < groups; ++g) {
    if (g + 1 < groups) {
      multiply<kWholeTile>(x.values + (g + 1) * kHeight * kGroup, weights + (g + 1) * kGroupBytes,
                           whole[(g + 1) % 2]);
    }
    prefetch<kGroupBytes / 2, 2>(next + g * kGroupBytes + first / kWidth * kGroupBytes / 2);
    const auto* scales = reinterpret_cast<const std::uint16_t*>(panel + g * kGroupBytes);
    const V weight_scale = load_bf16(scales + first);
    for (int r = 0; r < kHeight; ++r) {
      const V scale = broadcast(x.scales[g * kHeight + r]) * weight_scale;
      const I products = _mm512_load_si512(whole[g % 2] + r * kWidth);
      sum[r] = fused(to_float(products), scale, sum[r]);
    }
  }
  for (int r = 0; r < kHeight; ++r) store(sums + r * kPanel + first, sum[r]);
}

constexpr auto kTilesAmx = tile_table<kRowTile>([]<int kRows>() { return &tile_amx<kRows>; });

inline void linear_amx(const LinearJob& job, std::int64_t begin, std::int64_t end) {
  if (job.rows < kAmxRows) return linear_i8(job, begin, end);
  alignas(64) float sums[kRowTile * kPanel];
  const std::int64_t groups = groups_of(job.in);
  configure(job.rows % kRowTile == 0 ? kRowTile : job.rows % kRowTile);
  for (std::int64_t p = begin; p < end; ++p) {
    const std::byte* panel =
        static_cast<const std::byte*>(job.panels) + p * panel_bytes(DType::kI8, job.in);
    for (std::int64_t tile = 0; tile < job.rows; tile += kRowTile) {
      const std::int64_t height = tile_height(job.rows, tile);
      if (height < kAmxRows) {
        row_tile_i8(job, tile, panel, p * kPanel);
        continue;
      }
      const TileRowsI8 x{job.quantized.values + tile * groups * kGroup,
                         job.quantized.scales + tile * groups,
                         job.quantized.offsets + tile * groups, height};
      // The first row tile asks for the next panel.
      const std::byte* next = tile == 0 ? panel + panel_bytes(DType::kI8, job.in) : panel;
      for (std::int64_t first = 0; first < kPanel; first += kWidth) {
        kTilesAmx.of[height](x, panel, next, groups, first, sums);
      }
      finish(job, tile, height, p * kPanel, sums);
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
