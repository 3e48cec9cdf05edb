// Attention of one head for up to kQueryRows consecutive positions of one sequence: scores over the
// cached keys (lanes are positions), softmax, weighted sum of the cached values (lanes are
// features). Each row's result is computed in an order that depends on its own position only.
#pragma once

#include <cstring>

#include "cpu/kernels.h"

namespace aira::cpu::AIRA_ISA {
namespace {

constexpr int kBlockVectors = static_cast<int>(kKeyBlock) / kWidth;

inline void append(const AttentionJob& job) {
  const std::int64_t d = job.head_size;
  const std::int64_t padded = round_up(d, kKeyBlock);
  for (std::int64_t r = 0; r < job.rows; ++r) {
    const float* key = job.qkv + r * 3 * job.width + job.width;
    const float* value = key + job.width;
    const std::int64_t position = job.position + r;
    float* column = job.keys + position / kKeyBlock * d * kKeyBlock + position % kKeyBlock;
    float* row = job.values + position * padded;
    for (std::int64_t i = 0; i < d; ++i) {
      column[i * kKeyBlock] = key[i];
      row[i] = value[i];
    }
    for (std::int64_t i = d; i < padded; ++i) row[i] = 0;
  }
}

/// scores[r][16 b + lane] = q_r . k * scale for kRows rows over key blocks [0, blocks).
template <int kRows>
inline void score(const AttentionJob& job, std::int64_t blocks, float* scores,
                  std::int64_t stride) {
  const float* keys = job.keys;
  for (std::int64_t b = 0; b < blocks; ++b) {
    V sum[kRows][kBlockVectors];
    for (auto& row : sum) {
      for (V& s : row) s = zero();
    }
    for (std::int64_t i = 0; i < job.head_size; ++i, keys += kKeyBlock) {
      V k[kBlockVectors];
      for (int v = 0; v < kBlockVectors; ++v) k[v] = load(keys + v * kWidth);
      for (int r = 0; r < kRows; ++r) {
        const V q = broadcast(job.qkv[r * 3 * job.width + i]);
        for (int v = 0; v < kBlockVectors; ++v) sum[r][v] = fma(q, k[v], sum[r][v]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kBlockVectors; ++v) {
        store(scores + r * stride + b * kKeyBlock + v * kWidth,
              mul(sum[r][v], broadcast(job.scale)));
      }
    }
  }
}

/// Turns n scores into e^(score - max), zero in the rest of the last block; returns their sum.
inline float exponentials(float* scores, std::int64_t n) {
  const std::int64_t padded = round_up(n, kKeyBlock);
  for (std::int64_t j = n; j < padded; ++j) scores[j] = -__builtin_inff();
  V highest = load(scores);
  for (std::int64_t j = kWidth; j < padded; j += kWidth) highest = max(highest, load(scores + j));
  const V top = broadcast(max_lane(highest));
  V sum = zero();
  for (std::int64_t j = 0; j < padded; j += kWidth) {
    V e = exp(sub(load(scores + j), top));
    if (j + kWidth > n) e = keep_lanes(e, n - j);
    store(scores + j, e);
    sum = add(sum, e);
  }
  return sum_lanes(sum);
}

/// sums[r][f] += weights[r][j] values[j][f] over positions [begin, end), for kRows rows.
template <int kRows>
inline void weigh(const AttentionJob& job, std::int64_t begin, std::int64_t end,
                  const float* weights, std::int64_t stride, float* sums) {
  constexpr int kVectors = 4;
  const std::int64_t padded = round_up(job.head_size, kKeyBlock);
  for (std::int64_t f = 0; f < padded; f += kVectors * kWidth) {
    const int vectors =
        static_cast<int>(padded - f >= kVectors * kWidth ? kVectors : (padded - f) / kWidth);
    const auto run = [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      V sum[kRows][kCount];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kCount; ++v) sum[r][v] = load(sums + r * padded + f + v * kWidth);
      }
      const float* value = job.values + begin * padded + f;
      for (std::int64_t j = begin; j < end; ++j, value += padded) {
        for (int r = 0; r < kRows; ++r) {
          const V weight = broadcast(weights[r * stride + j]);
          for (int v = 0; v < kCount; ++v) {
            sum[r][v] = fma(weight, load(value + v * kWidth), sum[r][v]);
          }
        }
      }
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kCount; ++v) store(sums + r * padded + f + v * kWidth, sum[r][v]);
      }
    };
    if (vectors == 4) {
      run(Count<4>{});
    } else if (vectors == 3) {
      run(Count<3>{});
    } else if (vectors == 2) {
      run(Count<2>{});
    } else {
      run(Count<1>{});
    }
  }
}

template <int kRows>
inline void attend_rows(const AttentionJob& job) {
  const std::int64_t last = job.position + kRows;  // positions that the last row sees
  const std::int64_t stride = round_up(last, kKeyBlock);
  const std::int64_t padded = round_up(job.head_size, kKeyBlock);
  float* scores = job.scratch;
  float* sums = scores + kRows * stride;
  score<kRows>(job, stride / kKeyBlock, scores, stride);
  float total[kRows];
  for (int r = 0; r < kRows; ++r) {
    total[r] = exponentials(scores + r * stride, job.position + r + 1);
  }
  for (std::int64_t i = 0; i < kRows * padded; i += kWidth) store(sums + i, zero());
  // All rows see what the first one sees; each later row then adds its own few positions.
  const std::int64_t common = job.position + 1;
  weigh<kRows>(job, 0, common, scores, stride, sums);
  for (int r = 1; r < kRows; ++r) {
    weigh<1>(job, common, common + r, scores + r * stride, stride, sums + r * padded);
  }
  for (int r = 0; r < kRows; ++r) {
    for (std::int64_t i = 0; i < job.head_size; ++i) {
      job.out[r * job.width + i] = sums[r * padded + i] / total[r];
    }
  }
}

inline void attend(const AttentionJob& job) {
  static_assert(kQueryRows == 4);
  switch (job.rows) {
    case 1:
      return attend_rows<1>(job);
    case 2:
      return attend_rows<2>(job);
    case 3:
      return attend_rows<3>(job);
    default:
      return attend_rows<4>(job);
  }
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
