// softmax(q k^T * scale) v for single rows. The keys of each row and head are split over blocks
// (grid x), so that a dozen heads fill a large GPU at long context.
//
// Within a block, kGroup lanes share a key, eight features each. Cached keys and values are loaded,
// several per lane at a time, before the wait for the kernel that computes the queries; the row's
// own come with the query. A warp keeps a running maximum, sum and weighted value (online softmax:
// Milakov and Gimelshein, arXiv 1805.02867). The warps of a block are merged in shared memory, the
// blocks of a row and head in global memory by the last to finish (the split-K scheme of
// Flash-Decoding). Which blocks take part depends on the row's position alone, and they are merged
// in order, so timing does not change the result.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kWarps = static_cast<int>(kThreads) / 32;
constexpr int kFeatures = 8;        // per lane
constexpr int kMostPasses = 4;      // keys per lane that are loaded at a time
constexpr float kNothing = -1e30F;  // maximum of no scores; e^(kNothing - anything) is 0

static_assert(kSplitKeys % kPagePositions == 0);

/// Per multiprocessor; limits the registers of a thread.
template <typename Storage>
constexpr int kLeastBlocks = sizeof(Storage) == 2 ? 5 : 4;

/// A partial softmax: the greatest score and the sum of exponentials relative to it. The values
/// weighted with these exponentials are kept elsewhere.
struct Running {
  float maximum = kNothing;
  float sum = 0;
};

struct DecodeShared {
  float maximum[kWarps];
  float sum[kWarps];
  float value[kWarps][kLargestHead];
  bool last;
};

/// Eight features of a head from `feature` on, which is at `from`; zeros beyond the head. kWhole:
/// the head size is a multiple of eight, and heads begin on 16-byte boundaries.
template <bool kWhole>
__device__ __forceinline__ void load_features(const float* from, int feature, int head_size,
                                              float (&out)[kFeatures]) {
  if constexpr (kWhole) {
#pragma unroll
    for (float& x : out) x = 0;
    if (feature < head_size) unpack(load_piece(from), out);
  } else {
#pragma unroll
    for (int i = 0; i < kFeatures; ++i) out[i] = feature + i < head_size ? from[i] : 0.0F;
  }
}

/// A lane's share of the keys and values loaded at a time.
template <typename Storage, int kPasses>
struct Fetched {
  Piece<Storage> key[kPasses];
  Piece<Storage> value[kPasses];
};

/// Merges `parts` partial softmaxes; calls finish(feature, state, value) for each feature.
template <typename Part, typename Value, typename Finish>
__device__ __forceinline__ void merge(int parts, int features, const Part& part,
                                      const Value& value_of, const Finish& finish) {
  for (int feature = static_cast<int>(threadIdx.x); feature < features;
       feature += static_cast<int>(kThreads)) {
    Running total;
#pragma unroll 8
    for (int p = 0; p < parts; ++p) total.maximum = fmaxf(total.maximum, part(p).maximum);
    float value = 0;
#pragma unroll 8
    for (int p = 0; p < parts; ++p) {
      const Running one = part(p);
      const float weight = expf(one.maximum - total.maximum);
      total.sum += one.sum * weight;
      value += value_of(p, feature) * weight;
    }
    finish(feature, total, value);
  }
}

/// kAppend: takes the row's own key and value from qkv and writes them to the cache.
template <typename Storage, int kGroup, bool kAppend, bool kWhole>
__global__ void __launch_bounds__(kThreads, kLeastBlocks<Storage>)
    decode_block_per_split(AttentionJob job) {
  constexpr int kKeys = static_cast<int>(kThreads) / kGroup;  // per pass
  constexpr int kPasses = (kSplitKeys + kKeys - 1) / kKeys < kMostPasses
                              ? (kSplitKeys + kKeys - 1) / kKeys
                              : kMostPasses;
  grid_dependency_trigger();
  const int head = static_cast<int>(blockIdx.y);
  const int number = static_cast<int>(blockIdx.z);
  const int row = job.only == nullptr ? number : job.only[number];
  // Rows, slots and pages were written before the step began.
  const std::int64_t slot = job.rows.slot[row];
  if (slot < 0) return;
  const int position = job.rows.position[row];
  const int split = static_cast<int>(blockIdx.x);
  const int begin = split * static_cast<int>(kSplitKeys);
  if (begin > position) return;
  const int splits = position / static_cast<int>(kSplitKeys) + 1;  // blocks of this row and head
  const int end = min(begin + static_cast<int>(kSplitKeys), position + 1);
  const int head_size = static_cast<int>(job.head_size);
  const int width = static_cast<int>(job.heads) * head_size;
  const auto padded = static_cast<int>(padded_head(head_size));
  const int group = static_cast<int>(threadIdx.x) / kGroup;
  const int feature = static_cast<int>(threadIdx.x) % kGroup * kFeatures;
  const int cached = kAppend ? min(end, position) : end;  // keys that are in the cache

  Fetched<Storage, kPasses> fetched;
  const auto fetch = [&](int first) {
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int j = first + i * kKeys + group;
      if (j < cached && feature < padded) {
        const std::int64_t at = cell_in(job, page_of(job.pages, slot, j), head, j) + feature;
        fetched.key[i] = load_piece(static_cast<const Storage*>(job.keys) + at);
        fetched.value[i] = load_piece(static_cast<const Storage*>(job.values) + at);
      } else {
        fetched.key[i] = {};
        fetched.value[i] = {};
      }
    }
  };
  if constexpr (kAppend) fetch(begin);
  grid_dependency_wait();
  if constexpr (!kAppend) fetch(begin);

  const float* query = job.qkv + static_cast<std::int64_t>(row) * 3 * width + head * head_size;
  float q[kFeatures];
  load_features<kWhole>(query + feature, feature, head_size, q);
  Fetched<Storage, 1> mine = {};  // the row's own, as stored in the cache
  if (kAppend && end == position + 1 && (position - begin) % kKeys == group && feature < padded) {
    float numbers[kFeatures];
    load_features<kWhole>(query + width + feature, feature, head_size, numbers);
    pack(numbers, mine.key[0]);
    load_features<kWhole>(query + 2 * width + feature, feature, head_size, numbers);
    pack(numbers, mine.value[0]);
    const std::int64_t page = page_of(job.pages, slot, position);
    const std::int64_t cell = cell_in(job, page, head, position) + feature;
    store_piece(mine.key[0], static_cast<Storage*>(job.keys) + cell);
    store_piece(mine.value[0], static_cast<Storage*>(job.values) + cell);
    if (head == 0 && feature == 0) keep_token(job, row, page);
  }
#pragma unroll
  for (int i = 0; i < kFeatures; ++i) q[i] *= job.scale;

  Running state;
  float value[kFeatures] = {};
  for (int first = begin;;) {
    float score[kPasses];
    float maximum = state.maximum;
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int j = first + i * kKeys + group;
      float key[kFeatures];
      if (kAppend && j == position) fetched.key[i] = mine.key[0];
      unpack(fetched.key[i], key);
      float sum = 0;
#pragma unroll
      for (int f = 0; f < kFeatures; ++f) sum += q[f] * key[f];
#pragma unroll
      for (int distance = kGroup / 2; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(kWholeWarp, sum, distance);
      }
      score[i] = j < end ? sum : kNothing;
      maximum = fmaxf(maximum, score[i]);
    }
#pragma unroll
    for (int distance = 16; distance >= kGroup; distance /= 2) {
      maximum = fmaxf(maximum, __shfl_xor_sync(kWholeWarp, maximum, distance));
    }
    const float shrink = expf(state.maximum - maximum);
    state = {maximum, state.sum * shrink};
#pragma unroll
    for (float& v : value) v *= shrink;
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int j = first + i * kKeys + group;
      const float weight = j < end ? expf(score[i] - maximum) : 0.0F;
      state.sum += weight;
      float v[kFeatures];
      if (kAppend && j == position) fetched.value[i] = mine.value[0];
      unpack(fetched.value[i], v);
#pragma unroll
      for (int f = 0; f < kFeatures; ++f) value[f] += weight * v[f];
    }
    first += kPasses * kKeys;
    if (first >= end) break;
    fetch(first);
  }
  // Each group of the warp has a share of the sum and of the values.
#pragma unroll
  for (int distance = 16; distance >= kGroup; distance /= 2) {
    state.sum += __shfl_xor_sync(kWholeWarp, state.sum, distance);
#pragma unroll
    for (float& v : value) v += __shfl_xor_sync(kWholeWarp, v, distance);
  }
  DecodeShared& shared = block_shared<DecodeShared>();
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (static_cast<int>(threadIdx.x) % 32 < kGroup) {
    if (feature == 0) {
      shared.maximum[warp] = state.maximum;
      shared.sum[warp] = state.sum;
    }
#pragma unroll
    for (int f = 0; f < kFeatures; ++f) shared.value[warp][feature + f] = value[f];
  }
  __syncthreads();

  float* out = job.out + static_cast<std::int64_t>(row) * width + head * head_size;
  const auto warp_part = [&](int p) { return Running{shared.maximum[p], shared.sum[p]}; };
  const auto warp_value = [&](int p, int f) { return shared.value[p][f]; };
  if (splits == 1) {
    merge(kWarps, head_size, warp_part, warp_value,
          [&](int f, Running total, float v) { out[f] = v / total.sum; });
    return;
  }
  // A part in global memory: features, maximum, sum.
  float* parts = job.partial +
                 (static_cast<std::int64_t>(number) * job.heads + head) * gridDim.x * (padded + 2);
  float* part = parts + split * (padded + 2);
  merge(kWarps, head_size, warp_part, warp_value, [&](int f, Running total, float v) {
    part[f] = v;
    if (f == 0) {
      part[padded] = total.maximum;
      part[padded + 1] = total.sum;
    }
  });
  __threadfence();
  __syncthreads();
  unsigned* arrived = job.arrived + static_cast<std::int64_t>(number) * job.heads + head;
  if (threadIdx.x == 0) {
    shared.last = atomicAdd(arrived, 1U) == static_cast<unsigned>(splits) - 1;
  }
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  if (threadIdx.x == 0) *arrived = 0;
  merge(
      splits, head_size,
      [&](int p) {
        return Running{parts[p * (padded + 2) + padded], parts[p * (padded + 2) + padded + 1]};
      },
      [&](int p, int f) { return parts[p * (padded + 2) + f]; },
      [&](int f, Running total, float v) { out[f] = v / total.sum; });
}

template <typename Storage, int kGroup>
void launch_group(const Launch& how, const AttentionJob& job, bool append) {
  const bool whole = job.head_size % kFeatures == 0;
  if (append) {
    launch(how,
           whole ? decode_block_per_split<Storage, kGroup, true, true>
                 : decode_block_per_split<Storage, kGroup, true, false>,
           job);
  } else {
    launch(how,
           whole ? decode_block_per_split<Storage, kGroup, false, true>
                 : decode_block_per_split<Storage, kGroup, false, false>,
           job);
  }
}

template <typename Storage>
void launch_storage(const AttentionJob& job, bool append, Stream stream) {
  const Launch how = {.grid = {static_cast<unsigned>((job.positions + kSplitKeys - 1) / kSplitKeys),
                               static_cast<unsigned>(job.heads), static_cast<unsigned>(job.count)},
                      .block = kThreads,
                      .stream = stream,
                      .name = "decode_block_per_split"};
  if (job.head_size <= 32) {
    launch_group<Storage, 4>(how, job, append);
  } else if (job.head_size <= 64) {
    launch_group<Storage, 8>(how, job, append);
  } else {
    launch_group<Storage, 16>(how, job, append);
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
