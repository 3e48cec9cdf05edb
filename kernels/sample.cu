// Draws the next token of each row by the rules of src/run/sampler.cc: repetition penalty,
// temperature, top-k with ties, top-p.
//
// The first kernel, many blocks per row, reads the logits once: it applies the penalty in place and
// stores the maximum of each group of 32. The second, one block per row, finds a threshold that at
// least k groups' maxima reach, and sorts only the scores above it: the k best are among them. The
// rest is in double precision and summed in the sampler's order.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/ranks.h"

namespace aira::cuda {
namespace {

constexpr unsigned kPenaltyThreads = 256;
constexpr unsigned kDrawThreads = 512;
constexpr std::int64_t kGroup = 32;
constexpr std::int64_t kChunk = 2048;  // logits per block of the first kernel
constexpr std::int64_t kMostKeys = 2048;
static_assert(kDrawTopK * kGroup <= kMostKeys && kDrawVocab <= kGroup * kMostKeys);

__device__ __forceinline__ bool fills_bucket(const DeviceDraw& options) {
  return options.top_k == 0 && !options.greedy;
}

struct PenaltyShared {
  float score[kChunk];
};

__global__ void __launch_bounds__(kPenaltyThreads) penalise_block_per_chunk(DrawJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  auto& shared = block_shared<PenaltyShared>();
  const auto draw = static_cast<std::int64_t>(blockIdx.y);
  if (fills_bucket(job.options[draw])) return;
  const std::int64_t base = blockIdx.x * kChunk;
  const std::int64_t count = min(kChunk, job.vocab - base);
  float* logits = job.logits + draw * job.vocab + base;
  for (std::int64_t i = threadIdx.x; i < kChunk; i += kPenaltyThreads) {
    shared.score[i] = i < count ? logits[i] : score_of(kKeyOfMinusInfinity);
  }
  __syncthreads();
  const float penalty = job.options[draw].penalty;
  if (penalty != 1.0F) {
    const std::int32_t row = job.output_rows[draw];
    const std::int64_t slot = job.rows.slot[row];
    for (std::int64_t p = threadIdx.x; p <= job.rows.position[row]; p += kPenaltyThreads) {
      const std::int64_t at = page_of(job.pages, slot, p) * kPagePositions + p % kPagePositions;
      const std::int64_t id = job.tokens[at] - base;
      if (id < 0 || id >= count) continue;
      // Computed from the logit, so that a token that occurs twice is penalised once.
      const float logit = logits[id];
      atomicExch(&shared.score[id], logit < 0.0F ? logit * penalty : __fdiv_rn(logit, penalty));
    }
    __syncthreads();
  }
  const std::int64_t groups = draw_groups(job.vocab);
  const unsigned lane = threadIdx.x % 32;
  for (std::int64_t i = threadIdx.x; i - lane < count; i += kPenaltyThreads) {
    unsigned greatest = key_of(shared.score[i]);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      greatest = max(greatest, __shfl_xor_sync(kWholeWarp, greatest, distance));
    }
    if (lane == 0) job.maxima[draw * groups + (base + i) / kGroup] = greatest;
    if (i < count) logits[i] = shared.score[i];
  }
}

struct DrawShared {
  Wide listed[kMostKeys];  // in any order
  Wide rank[kMostKeys];    // the same in descending order
  union {
    Wide tied[kMostKeys];
    double probability[kMostKeys];
  };
  std::int32_t group[kMostKeys];  // with scores to list
  double sum;
  unsigned count[2][kDrawThreads / 32];
  unsigned best;
  unsigned groups;
  unsigned above;  // scores above the threshold
  unsigned ties;   // scores equal to it
  unsigned kept;   // in `rank` and `probability`
  unsigned loose;  // ties that follow these and are too many to list
};

/// Maxima per thread.
constexpr int kOwnGroups = static_cast<int>(kMostKeys / kDrawThreads);

/// Lists and sorts the scores above `least`, and those equal to it if there is room for all; minus
/// infinity is never listed. Returns their number; shared.loose counts the ties left out.
__device__ __forceinline__ std::int64_t list_from(const DrawJob& job, std::int64_t draw,
                                                  const unsigned (&keys)[kOwnGroups],
                                                  unsigned least, DrawShared& shared) {
#pragma unroll
  for (int i = 0; i < kOwnGroups; ++i) {
    const auto group = static_cast<std::int32_t>(threadIdx.x + i * kDrawThreads);
    if (keys[i] >= least && group < draw_groups(job.vocab)) {
      shared.group[atomicAdd(&shared.groups, 1U)] = group;
    }
  }
  __syncthreads();
  constexpr unsigned kWarps = kDrawThreads / 32;
#pragma unroll 4
  for (unsigned g = threadIdx.x / 32; g < shared.groups; g += kWarps) {
    const std::int64_t id = shared.group[g] * kGroup + threadIdx.x % 32;
    if (id >= job.vocab) continue;
    const unsigned key = key_of(job.logits[draw * job.vocab + id]);
    if (key > least) {
      shared.listed[atomicAdd(&shared.above, 1U)] = ranked(key, id);
    } else if (key == least && least != kKeyOfMinusInfinity) {
      const unsigned at = atomicAdd(&shared.ties, 1U);
      if (at < kMostKeys) shared.tied[at] = ranked(key, id);
    }
  }
  __syncthreads();
  const unsigned above = shared.above;
  const unsigned ties = shared.ties;
  const bool all = above + ties <= kMostKeys;
  for (unsigned i = threadIdx.x; all && i < ties; i += kDrawThreads) {
    shared.listed[above + i] = shared.tied[i];
  }
  if (threadIdx.x == 0) shared.loose = all ? 0 : ties;
  __syncthreads();
  const unsigned listed = all ? above + ties : above;
  sort_ranks(shared.listed, listed, shared.rank);
  return listed;
}

/// top-p by one thread, in the sampler's order: drops the least probable tokens while their sum
/// stays within 1 - top_p of the total. `loose_share` is the exponential of each loose tie. Stores
/// the sum of what is kept.
__device__ __forceinline__ void drop_improbable(double top_p, double loose_share,
                                                DrawShared& shared) {
  unsigned kept = shared.kept;
  unsigned loose = shared.loose;
  const auto sum_up = [&] {
    double sum = 0;
#pragma unroll 8
    for (unsigned i = 0; i < kept; ++i) sum += shared.probability[i];
    for (unsigned i = 0; i < loose; ++i) sum += loose_share;
    return sum;
  };
  double sum = sum_up();
  if (top_p < 1) {
    const double droppable = (1 - top_p) * sum;
    double dropped = 0;
    for (; kept + loose > 1; loose > 0 ? --loose : --kept) {
      const double last = loose > 0 ? loose_share : shared.probability[kept - 1];
      if (dropped + last > droppable) break;
      dropped += last;
    }
    sum = sum_up();
  }
  shared.kept = kept;
  shared.loose = loose;
  shared.sum = sum;
}

/// The id of the `index`-th score with this key.
__device__ __forceinline__ std::int32_t find_tie(const float* scores, unsigned key,
                                                 unsigned index) {
  std::int32_t id = 0;
  for (;; ++id) {
    if (key_of(scores[id]) == key && index-- == 0) return id;
  }
}

/// The token that the random number selects, by one thread.
__device__ __forceinline__ std::int32_t pick(const DrawJob& job, std::int64_t draw, unsigned least,
                                             double loose_share, const DrawShared& shared) {
  const float* scores = job.logits + draw * job.vocab;
  double left = job.options[draw].uniform;
  for (unsigned i = 0; i < shared.kept; ++i) {
    left -= shared.probability[i];
    if (left < 0) return number_in(shared.rank[i]);
  }
  for (unsigned i = 0; i < shared.loose; ++i) {
    left -= loose_share / shared.sum;
    if (left < 0) return find_tie(scores, least, i);
  }
  // Rounding left a remainder: the last one.
  return shared.loose > 0 ? find_tie(scores, least, shared.loose - 1)
                          : number_in(shared.rank[shared.kept - 1]);
}

// One block per multiprocessor: without this bound ptxas saves registers for more, and spills on
// sm_100 and sm_120.
__global__ void __launch_bounds__(kDrawThreads, 1) draw_block_per_row(DrawJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  auto& shared = *block_shared_dynamic<DrawShared>();
  const auto draw = static_cast<std::int64_t>(blockIdx.x);
  const DeviceDraw options = job.options[draw];
  if (fills_bucket(options)) return;
  const std::int64_t groups = draw_groups(job.vocab);
  unsigned keys[kOwnGroups];
#pragma unroll
  for (int i = 0; i < kOwnGroups; ++i) {
    const std::int64_t group = threadIdx.x + i * static_cast<std::int64_t>(kDrawThreads);
    keys[i] = group < groups ? job.maxima[draw * groups + group] : 0;
  }
  if (threadIdx.x == 0) shared.groups = shared.above = shared.ties = 0;
  if (threadIdx.x == 0) shared.best = 0;
  __syncthreads();
  unsigned greatest = 0;
  for (const unsigned key : keys) greatest = max(greatest, key);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    greatest = max(greatest, __shfl_xor_sync(kWholeWarp, greatest, distance));
  }
  if (threadIdx.x % 32 == 0) atomicMax(&shared.best, greatest);
  __syncthreads();
  const unsigned best = shared.best;
  const std::int32_t slot = job.rows.slot[job.output_rows[draw]];
  std::int32_t* const out = job.out + *job.flight * job.room;
  if (best >= kKeyOfInfinity || best == kKeyOfMinusInfinity) {
    if (threadIdx.x == 0) out[draw] = kNotDrawn;
    if (threadIdx.x == 0) job.last[slot] = 0;
    return;
  }
  const std::int64_t top_k = options.greedy ? 1 : options.top_k;
  const std::int64_t k = min(top_k, job.vocab);
  const unsigned least = k == 1        ? best
                         : k <= groups ? find_least(keys, static_cast<unsigned>(k), shared.count)
                                       : kKeyOfMinusInfinity;
  const std::int64_t listed = list_from(job, draw, keys, least, shared);

  // The k best and the ties of the k-th. Fewer than k are listed if the others are loose ties or
  // minus infinity.
  if (listed < k) {
    if (threadIdx.x == 0) shared.kept = static_cast<unsigned>(listed);
  } else {
    const unsigned last = key_in(shared.rank[k - 1]);
    for (std::int64_t i = threadIdx.x; i < listed; i += kDrawThreads) {
      if (key_in(shared.rank[i]) < last) continue;
      if (i + 1 < listed && key_in(shared.rank[i + 1]) >= last) continue;
      shared.kept = static_cast<unsigned>(i + 1);
      shared.loose = 0;
    }
  }
  __syncthreads();
  if (options.greedy && threadIdx.x == 0) {
    shared.loose = shared.kept > 0 ? 0 : 1;
    shared.kept = shared.kept > 0 ? 1 : 0;
  }
  __syncthreads();
  const auto share = [&](unsigned key) {
    return exp((static_cast<double>(score_of(key)) - static_cast<double>(score_of(best))) /
               options.temperature);
  };
  for (unsigned i = threadIdx.x; i < shared.kept; i += kDrawThreads) {
    shared.probability[i] = share(key_in(shared.rank[i]));
  }
  __syncthreads();
  const double loose_share = shared.loose > 0 ? share(least) : 0;
  __syncthreads();
  if (threadIdx.x == 0) drop_improbable(options.top_p, loose_share, shared);
  __syncthreads();
  for (unsigned i = threadIdx.x; i < shared.kept; i += kDrawThreads) {
    shared.probability[i] /= shared.sum;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  const std::int32_t token = pick(job, draw, least, loose_share, shared);
  out[draw] = token;
  job.last[slot] = token;
}

}  // namespace

void draw_tokens(const DrawJob& job, Stream stream) {
  if (job.vocab > kDrawVocab) throw Error("draw_tokens: the vocabulary is too large.");
  launch({.grid = {static_cast<unsigned>((job.vocab + kChunk - 1) / kChunk),
                   static_cast<unsigned>(job.count)},
          .block = kPenaltyThreads,
          .stream = stream,
          .name = "penalise_block_per_chunk"},
         penalise_block_per_chunk, job);
  allow_shared(draw_block_per_row, sizeof(DrawShared));
  launch({.grid = static_cast<unsigned>(job.count),
          .block = kDrawThreads,
          .shared_bytes = sizeof(DrawShared),
          .stream = stream,
          .name = "draw_block_per_row"},
         draw_block_per_row, job);
}

}  // namespace aira::cuda
