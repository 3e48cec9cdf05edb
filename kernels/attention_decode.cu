// softmax(q k^T * scale) v for single rows, the keys of each row and head split over blocks
// (grid x) so that a dozen heads fill a large GPU at long context.
//
// Within a block, kGroup lanes share a key, eight features each, and keep a running maximum, sum
// and weighted value (online softmax: Milakov and Gimelshein, arXiv 1805.02867). The groups of a
// block are merged in shared memory; the blocks of a row and head by the one that comes last,
// through global memory (the split-K scheme of Flash-Decoding). Which blocks take part depends on
// the row's position alone, and parts are merged in order, so a result does not depend on timing.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kFeatures = 8;        // of a lane
constexpr float kNothing = -1e30F;  // maximum of no scores; e^(kNothing - anything) is 0

static_assert(kSplitKeys % kPagePositions == 0);

/// A softmax in the making: the greatest score, and relative to it the sum of exponentials and
/// (kept elsewhere) the values weighted with them.
struct Running {
  float maximum = kNothing;
  float sum = 0;
};

struct DecodeShared {
  float maximum[kThreads];                         // [group]
  float sum[kThreads];                             // [group]
  float value[kThreads * kFeatures];               // [group][lane of group * 8 + feature]
  std::int64_t cell[kSplitKeys / kPagePositions];  // where each page's features begin
  bool last;
};

template <typename Storage, int kGroup>
__device__ __forceinline__ void attend_keys(const AttentionJob& job, const float* query,
                                            std::int64_t begin, std::int64_t end,
                                            DecodeShared& shared) {
  const auto* keys = static_cast<const Storage*>(job.keys);
  const auto* values = static_cast<const Storage*>(job.values);
  const std::int64_t padded = padded_head(job.head_size);
  const unsigned group = threadIdx.x / kGroup;
  const std::int64_t feature = threadIdx.x % kGroup * kFeatures;
  float q[kFeatures];
  for (int i = 0; i < kFeatures; ++i) {
    q[i] = feature + i < job.head_size ? query[feature + i] * job.scale : 0.0F;
  }
  Running state;
  float value[kFeatures] = {};
  constexpr std::int64_t kStep = kThreads / kGroup;
  // Every lane goes round as often as the first, for the shuffles; late ones have nothing to add.
  for (std::int64_t first = begin; first < end; first += kStep) {
    const std::int64_t j = first + group;
    const bool there = j < end && feature < padded;
    float k[kFeatures] = {};
    float v[kFeatures] = {};
    if (there) {
      const std::int64_t at =
          shared.cell[(j - begin) / kPagePositions] + j % kPagePositions * padded + feature;
      load_8(keys + at, k);
      load_8(values + at, v);
    }
    float score = 0;
#pragma unroll
    for (int i = 0; i < kFeatures; ++i) score += q[i] * k[i];
#pragma unroll
    for (int distance = kGroup / 2; distance > 0; distance /= 2) {
      score += __shfl_xor_sync(kWholeWarp, score, distance);
    }
    if (j >= end) continue;
    const float maximum = fmaxf(state.maximum, score);
    const float shrink = expf(state.maximum - maximum);
    const float weight = expf(score - maximum);
    state = {maximum, state.sum * shrink + weight};
#pragma unroll
    for (int i = 0; i < kFeatures; ++i) value[i] = value[i] * shrink + weight * v[i];
  }
  if (threadIdx.x % kGroup == 0) {
    shared.maximum[group] = state.maximum;
    shared.sum[group] = state.sum;
  }
#pragma unroll
  for (int i = 0; i < kFeatures; ++i) {
    shared.value[group * kGroup * kFeatures + feature + i] = value[i];
  }
}

/// Merges `parts` softmaxes, feature by feature: writes through `finish(feature, state, value)`.
template <typename Part, typename Value, typename Finish>
__device__ __forceinline__ void merge(std::int64_t parts, std::int64_t features, const Part& part,
                                      const Value& value_of, const Finish& finish) {
  for (std::int64_t feature = threadIdx.x; feature < features; feature += kThreads) {
    Running total;
    for (std::int64_t p = 0; p < parts; ++p) total.maximum = fmaxf(total.maximum, part(p).maximum);
    float value = 0;
    for (std::int64_t p = 0; p < parts; ++p) {
      const Running one = part(p);
      const float weight = expf(one.maximum - total.maximum);
      total.sum += one.sum * weight;
      value += value_of(p, feature) * weight;
    }
    finish(feature, total, value);
  }
}

template <typename Storage, int kGroup>
__global__ void __launch_bounds__(kThreads) decode_block_per_split(AttentionJob job, bool append) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const auto head = static_cast<std::int64_t>(blockIdx.y);
  const auto row = static_cast<std::int64_t>(blockIdx.z);
  const std::int64_t slot = job.rows.slot[row];
  if (slot < 0) return;
  const std::int64_t position = job.rows.position[row];
  const std::int64_t split = blockIdx.x;
  const std::int64_t begin = split * kSplitKeys;
  if (begin > position) return;
  const std::int64_t splits = position / kSplitKeys + 1;  // blocks of this row and head
  const std::int64_t end = min(begin + kSplitKeys, position + 1);
  const std::int64_t width = job.heads * job.head_size;
  const std::int64_t padded = padded_head(job.head_size);
  const float* query = job.qkv + row * 3 * width + head * job.head_size;
  DecodeShared& shared = block_shared<DecodeShared>();
  for (std::int64_t first = begin + static_cast<std::int64_t>(threadIdx.x) * kPagePositions;
       first < end; first += kThreads * kPagePositions) {
    shared.cell[(first - begin) / kPagePositions] =
        cell_in(job, page_of(job.pages, slot, first), head, first);
  }
  if (append && split == splits - 1) {
    const std::int64_t page = page_of(job.pages, slot, position);
    if (threadIdx.x == 0 && head == 0) keep_token(job, row, page);
    const std::int64_t cell = cell_in(job, page, head, position);
    for (std::int64_t i = threadIdx.x; i < padded; i += kThreads) {
      const bool there = i < job.head_size;
      from_float(there ? query[width + i] : 0.0F, static_cast<Storage*>(job.keys)[cell + i]);
      from_float(there ? query[2 * width + i] : 0.0F, static_cast<Storage*>(job.values)[cell + i]);
    }
  }
  __syncthreads();
  attend_keys<Storage, kGroup>(job, query, begin, end, shared);
  __syncthreads();

  float* out = job.out + row * width + head * job.head_size;
  const auto group_part = [&](std::int64_t p) { return Running{shared.maximum[p], shared.sum[p]}; };
  const auto group_value = [&](std::int64_t p, std::int64_t feature) {
    return shared.value[p * kGroup * kFeatures + feature];
  };
  constexpr std::int64_t kGroups = kThreads / kGroup;
  if (splits == 1) {
    merge(kGroups, job.head_size, group_part, group_value,
          [&](std::int64_t feature, Running total, float value) {
            out[feature] = value / total.sum;
          });
    return;
  }
  // A part in global memory: its features, then maximum and sum.
  float* parts = job.partial + (row * job.heads + head) * gridDim.x * (padded + 2);
  float* mine = parts + split * (padded + 2);
  merge(kGroups, job.head_size, group_part, group_value,
        [&](std::int64_t feature, Running total, float value) {
          mine[feature] = value;
          if (feature == 0) {
            mine[padded] = total.maximum;
            mine[padded + 1] = total.sum;
          }
        });
  __threadfence();
  __syncthreads();
  unsigned* arrived = job.arrived + row * job.heads + head;
  if (threadIdx.x == 0) shared.last = atomicAdd(arrived, 1U) == splits - 1;
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  if (threadIdx.x == 0) *arrived = 0;
  merge(
      splits, job.head_size,
      [&](std::int64_t p) {
        return Running{parts[p * (padded + 2) + padded], parts[p * (padded + 2) + padded + 1]};
      },
      [&](std::int64_t p, std::int64_t feature) { return parts[p * (padded + 2) + feature]; },
      [&](std::int64_t feature, Running total, float value) { out[feature] = value / total.sum; });
}

template <typename Storage>
void launch_storage(const AttentionJob& job, bool append, Stream stream) {
  const Launch how = {.grid = {static_cast<unsigned>((job.context + kSplitKeys - 1) / kSplitKeys),
                               static_cast<unsigned>(job.heads), static_cast<unsigned>(job.count)},
                      .block = kThreads,
                      .stream = stream.stream,
                      .dependent = stream.dependent,
                      .name = "decode_block_per_split"};
  if (job.head_size <= 8) {
    launch(how, decode_block_per_split<Storage, 1>, job, append);
  } else if (job.head_size <= 16) {
    launch(how, decode_block_per_split<Storage, 2>, job, append);
  } else if (job.head_size <= 32) {
    launch(how, decode_block_per_split<Storage, 4>, job, append);
  } else if (job.head_size <= 64) {
    launch(how, decode_block_per_split<Storage, 8>, job, append);
  } else {
    launch(how, decode_block_per_split<Storage, 16>, job, append);
  }
}

}  // namespace

void attention_decode(const AttentionJob& job, bool append, Stream stream) {
  if (job.head_size > kLargestHead) throw Error("attention_decode: the head is too large.");
  if (job.dtype == DType::kF32) {
    launch_storage<float>(job, append, stream);
  } else {
    launch_storage<__half>(job, append, stream);
  }
}

}  // namespace aira::cuda
