// Attention of one head for up to kQueryRows consecutive positions of one sequence. Pages of keys
// and of values are laid out as panels of weights, so scores and weighted sums are tiles of a
// linear map (linear_impl.h). Each range of kRangePages pages gives a softmax of its own, and these
// are merged in order. Where a range ends depends on positions alone, and each row's sums run over
// its own positions in ascending order, so a row's result does not depend on the rows beside it.
#pragma once

#include "cpu/linear_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

static_assert(kPagePositions == kPanel && kTileRows <= kQueryRows);

/// Keys of page `page` of the sequence; its values follow.
template <typename Element>
inline Element* keys_of(const AttentionJob& job, std::int64_t page) {
  return static_cast<Element*>(job.cells) + job.pages[page] * job.page_stride;
}

template <typename Element>
void append(const AttentionJob& job) {
  for (std::int64_t r = 0; r < job.rows; ++r) {
    const float* key = job.qkv + r * 3 * job.width + job.width;
    const float* value = key + job.width;
    const std::int64_t at = (job.position + r) % kPagePositions;
    Element* keys = keys_of<Element>(job, (job.position + r) / kPagePositions);
    Element* values = keys + job.head_size * kPagePositions;
    for (std::int64_t i = 0; i < job.head_size; i += kWidth) {
      const std::int64_t n = job.head_size - i < kWidth ? job.head_size - i : kWidth;
      Element column[kWidth];
      store(column, load_some(key + i, n));
      for (std::int64_t j = 0; j < n; ++j) keys[(i + j) * kPagePositions + at] = column[j];
    }
    for (std::int64_t i = 0; i < padded_head(job.head_size); i += kWidth) {
      store(values + i / kPanel * kPanel * kPagePositions + at * kPanel + i % kPanel,
            load_some(value + i, job.head_size - i));
    }
  }
}

/// Turns n scores, 32 in each `stride` floats, into e^(score - greatest). Those behind them in the
/// last vector become 0. tail[0] is then the greatest score and tail[1] the sum.
inline void soften(float* scores, std::int64_t stride, std::int64_t n, float* tail) {
  const auto at = [&](std::int64_t j) { return scores + j / kPanel * stride + j % kPanel; };
  for (std::int64_t j = n; j % kWidth != 0; ++j) *at(j) = -__builtin_inff();
  V most = load(scores);
  for (std::int64_t j = kWidth; j < n; j += kWidth) most = max(most, load(at(j)));
  const float highest = max_lane(most);
  const V top = broadcast(highest);
  V sum{};
  for (std::int64_t j = 0; j < n; j += kWidth) {
    const V e = keep_lanes(exp(load(at(j)) - top), n - j);
    store(at(j), e);
    sum = sum + e;
  }
  tail[0] = highest;
  tail[1] = sum_lanes(sum);
}

/// Rows [first, first + rows) of the job and one range of keys, which the last row at least sees.
struct RangeTile {
  std::int64_t first = 0;
  std::int64_t rows = 0;
  std::int64_t seen = 0;  // positions of the range that the first row sees; below 0: none, soon

  /// Positions of the range's page `p` that row `r` of the tile sees.
  std::int64_t seen_in_page(std::int64_t r, std::int64_t p) const {
    const std::int64_t n = seen + r - p * kPagePositions;
    return n < 0 ? 0 : n > kPagePositions ? kPagePositions : n;
  }
};

/// out[r] = x[r] panel for `rows` <= kTileRows rows, kPanel numbers each; x is [rows, inputs].
/// `next` is the panel after this one, which may be anywhere, so the processor cannot predict it.
template <typename Element>
inline void multiply(std::int64_t rows, const float* x, std::int64_t inputs, const Element* panel,
                     const Element* next, float* out) {
  for (std::int64_t i = 0; i < rows * kPanel; i += kWidth) store(out + i, V{});
  kTiles<Element, Element>.of[rows](x, inputs, panel, inputs,
                                    reinterpret_cast<const std::byte*>(next), out);
}

/// sums[r][f] = weights[r] . values of feature f over what each row sees of page `p`, one panel.
template <typename Element>
inline void weigh_page(const RangeTile& tile, std::int64_t p, const float* weights,
                       const Element* values, const Element* next, float* sums) {
  if (tile.seen_in_page(0, p) == kPagePositions) {  // the first row sees least
    return multiply(tile.rows, weights, kPagePositions, values, next, sums);
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    multiply(1, weights + r * kPanel, tile.seen_in_page(r, p), values, next, sums + r * kPanel);
  }
}

/// Where the softmaxes of range `range` begin: for each row of the job, the weighted sum of values
/// [padded D], the greatest score, and the sum of e^(score - greatest).
inline float* partial_of(const AttentionJob& job, std::int64_t range) {
  return job.scratch + tile_floats(job.head_size) +
         range * job.rows * (padded_head(job.head_size) + kPartTail);
}

template <typename Element>
inline void attend_tile(const AttentionJob& job, std::int64_t range, const RangeTile& tile) {
  const std::int64_t d = job.head_size;
  const std::int64_t padded = padded_head(d);
  const std::int64_t block = tile.rows * kPanel;  // scores of a page
  float* queries = job.scratch;
  float* scores = queries + kTileRows * padded;
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const float* query = job.qkv + (tile.first + r) * 3 * job.width;
    for (std::int64_t i = 0; i < d; ++i) queries[r * d + i] = query[i] * job.scale;
  }
  std::int64_t pages = 1;
  while (pages < kRangePages && tile.seen_in_page(tile.rows - 1, pages) > 0) ++pages;
  const std::int64_t first = range * kRangePages;
  const auto values_of = [&](std::int64_t p) {
    return keys_of<Element>(job, first + p) + d * kPagePositions;
  };
  for (std::int64_t p = 0; p < pages; ++p) {
    multiply(tile.rows, queries, d, keys_of<Element>(job, first + p),
             p + 1 < pages ? keys_of<Element>(job, first + p + 1) : values_of(0),
             scores + p * block);
  }
  float* const parts = partial_of(job, range) + tile.first * (padded + kPartTail);
  float* part = parts;
  for (std::int64_t r = 0; r < tile.rows; ++r, part += padded + kPartTail) {
    for (std::int64_t f = 0; f < padded; f += kWidth) store(part + f, V{});
    const std::int64_t n = tile.seen + r;
    if (n > 0) soften(scores + r * kPanel, block, n < kRange ? n : kRange, part + padded);
  }
  alignas(64) float sums[kTileRows * kPanel];
  for (std::int64_t p = 0; p < pages; ++p) {
    const Element* values = values_of(p);
    for (std::int64_t f = 0; f < padded; f += kPanel, values += kPanel * kPagePositions) {
      const Element* next = values + kPanel * kPagePositions;
      if (f + kPanel >= padded && p + 1 < pages) next = values_of(p + 1);
      weigh_page(tile, p, scores + p * block, values, next, sums);
      part = parts + f;
      for (std::int64_t r = 0; r < tile.rows; ++r, part += padded + kPartTail) {
        for (std::int64_t i = 0; i < kPanel; i += kWidth) {
          store(part + i, load(part + i) + load(sums + r * kPanel + i));
        }
      }
    }
  }
}

/// Combines the softmaxes of all ranges.
inline void merge(const AttentionJob& job) {
  const std::int64_t padded = padded_head(job.head_size);
  const std::int64_t stride = job.rows * (padded + kPartTail);  // from range to range
  for (std::int64_t r = 0; r < job.rows; ++r) {
    const float* parts = partial_of(job, 0) + r * (padded + kPartTail);
    const std::int64_t ranges = (job.position + r) / kRange + 1;  // that this row sees
    float highest = parts[padded];
    for (std::int64_t i = 1; i < ranges; ++i) {
      const float other = parts[i * stride + padded];
      highest = other > highest ? other : highest;
    }
    const auto share = [&](std::int64_t i) {
      return exp(broadcast(parts[i * stride + padded] - highest));
    };
    V total{};
    for (std::int64_t i = 0; i < ranges; ++i) {
      total = fma(share(i), broadcast(parts[i * stride + padded + 1]), total);
    }
    for (std::int64_t f = 0; f < job.head_size; f += kWidth) {
      V sum{};
      for (std::int64_t i = 0; i < ranges; ++i) {
        sum = fma(share(i), load(parts + i * stride + f), sum);
      }
      store_some(job.out + r * job.width + f, sum / total, job.head_size - f);
    }
  }
}

template <typename Element>
void attend(const AttentionJob& job) {
  for (std::int64_t range = 0; range < key_ranges(job.position + job.rows - 1); ++range) {
    in_parts(job.rows, kTileRows, [&](std::int64_t row, std::int64_t rows) {
      const RangeTile tile{row, rows, job.position + row + 1 - range * kRange};
      if (tile.seen + rows > 1) attend_tile<Element>(job, range, tile);
    });
  }
  merge(job);
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
