// Draws the next token of each row by the rules of src/run/sampler.cc: repetition penalty,
// temperature, top-k with ties, top-p.
//
// After scan_logits, one block per row finds a threshold that the maxima of at least k groups
// reach, and sorts only the scores above it: the k best are among them. The rest is in double
// precision and summed in the sampler's order.
#include "kernels/device.h"
#include "kernels/history.h"
#include "kernels/kernels.h"
#include "kernels/log_sum.h"
#include "kernels/ranks.h"

namespace aira::cuda {
namespace {

constexpr unsigned kDrawThreads = 512;
constexpr std::int64_t kMostKeys = 2048;
static_assert(kDrawGroup == 32 && kDrawTopK * kDrawGroup <= kMostKeys &&
              kDrawVocab <= kDrawGroup * kMostKeys);

struct DrawShared {
  Wide listed[kMostKeys];  // in any order
  Wide rank[kMostKeys];    // the same in descending order
  union {
    Wide tied[kMostKeys];
    double probability[kMostKeys];
  };
  std::uint16_t group[kMostKeys];                // with scores to list
  unsigned in_history[kDrawVocab / kDrawGroup];  // a word for each group, a bit for each id
  double sum;
  unsigned count[2][kDrawThreads / 32];
  unsigned best;
  unsigned groups;
  unsigned above;  // scores above the threshold
  unsigned ties;   // scores equal to it
  unsigned kept;   // in `rank` and `probability`
  unsigned loose;  // ties that follow these and are too many to list
};

/// The penalised logit of a token.
__device__ __forceinline__ float score_at(const DrawJob& job, std::int64_t draw, std::int64_t id,
                                          float penalty, const DrawShared& shared) {
  const float logit = job.logits[draw * job.vocab + id];
  const bool repeats = penalty != 1.0F && (shared.in_history[id / 32] >> id % 32 & 1U) != 0;
  return repeats ? penalised(logit, penalty) : logit;
}

/// Maxima per thread.
constexpr int kOwnGroups = static_cast<int>(kMostKeys / kDrawThreads);

/// Lists and sorts the scores above `least`, and those equal to it if there is room for all; minus
/// infinity is never listed. Returns their number; shared.loose counts the ties left out.
__device__ __forceinline__ std::int64_t list_from(const DrawJob& job, std::int64_t draw,
                                                  const unsigned (&keys)[kOwnGroups],
                                                  unsigned least, float penalty,
                                                  DrawShared& shared) {
#pragma unroll
  for (int i = 0; i < kOwnGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(threadIdx.x + i * kDrawThreads);
    if (keys[i] >= least && group < draw_groups(job.vocab)) {
      shared.group[atomicAdd(&shared.groups, 1U)] = group;
    }
  }
  __syncthreads();
  constexpr unsigned kWarps = kDrawThreads / 32;
#pragma unroll 4
  for (unsigned g = threadIdx.x / 32; g < shared.groups; g += kWarps) {
    const std::int64_t id = shared.group[g] * kDrawGroup + threadIdx.x % 32;
    if (id >= job.vocab) continue;
    const unsigned key = key_of(score_at(job, draw, id, penalty, shared));
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
__device__ __forceinline__ std::int32_t find_tie(const DrawJob& job, std::int64_t draw,
                                                 unsigned key, unsigned index,
                                                 const DrawShared& shared) {
  for (std::int32_t id = 0; id < job.vocab; ++id) {
    const float score = score_at(job, draw, id, job.options[draw].penalty, shared);
    if (key_of(score) == key && index-- == 0) return id;
  }
  return kNotDrawn;
}

/// The token that the random number selects, by one thread.
__device__ __forceinline__ std::int32_t pick(const DrawJob& job, std::int64_t draw, unsigned least,
                                             double loose_share, const DrawShared& shared) {
  double left = job.options[draw].uniform;
  for (unsigned i = 0; i < shared.kept; ++i) {
    left -= shared.probability[i];
    if (left < 0) return number_in(shared.rank[i]);
  }
  for (unsigned i = 0; i < shared.loose; ++i) {
    left -= loose_share / shared.sum;
    if (left < 0) return find_tie(job, draw, least, i, shared);
  }
  // Rounding left a remainder: the last one.
  if (shared.loose > 0) return find_tie(job, draw, least, shared.loose - 1, shared);
  return shared.kept > 0 ? number_in(shared.rank[shared.kept - 1]) : kNotDrawn;
}

// One block per multiprocessor: without this bound ptxas saves registers for more, and spills on
// sm_100 and sm_120.
__global__ void __launch_bounds__(kDrawThreads, 1) draw_block_per_row(DrawJob job) {
  grid_dependency_trigger();
  auto& shared = *block_shared_dynamic<DrawShared>();
  const auto draw = static_cast<std::int64_t>(blockIdx.x);
  const DeviceDraw options = job.options[draw];
  if (fills_bucket(options)) return;
  const History history = history_of(job, draw);
  DrawnToken* const out = job.out + *job.flight * job.room;
  grid_dependency_wait();
  const std::int64_t groups = draw_groups(job.vocab);
  unsigned keys[kOwnGroups];
#pragma unroll
  for (int i = 0; i < kOwnGroups; ++i) {
    const std::int64_t group = threadIdx.x + i * static_cast<std::int64_t>(kDrawThreads);
    keys[i] = group < groups ? job.maxima[draw * groups + group] : 0;
  }
  const float log_total =
      options.log_probability
          ? log_sum(job.sums + draw * draw_chunks(job.vocab), draw_chunks(job.vocab))
          : 0;
  if (threadIdx.x == 0) shared.groups = shared.above = shared.ties = shared.best = 0;
  if (options.penalty != 1.0F) {
    for (std::int64_t i = threadIdx.x; i < groups; i += kDrawThreads) shared.in_history[i] = 0;
    __syncthreads();
    visit_history(job, history, [&](std::int64_t id) {
      if (id >= 0 && id < job.vocab) atomicOr(&shared.in_history[id / 32], 1U << id % 32);
    });
  }
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
  if (best >= kKeyOfInfinity || best == kKeyOfMinusInfinity) {
    if (threadIdx.x == 0) out[draw] = {kNotDrawn, 0};
    if (threadIdx.x == 0) job.last[history.slot] = 0;
    return;
  }
  const std::int64_t top_k = options.greedy ? 1 : options.top_k;
  const std::int64_t k = min(top_k, job.vocab);
  const unsigned least = k == 1        ? best
                         : k <= groups ? find_least(keys, static_cast<unsigned>(k), shared.count)
                                       : kKeyOfMinusInfinity;
  const std::int64_t listed = list_from(job, draw, keys, least, options.penalty, shared);

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
  const std::int32_t id = max(token, 0);
  job.last[history.slot] = id;
  out[draw] = {token, options.log_probability ? job.logits[draw * job.vocab + id] - log_total : 0};
}

}  // namespace

void draw_tokens(const DrawJob& job, Stream stream) {
  if (job.vocab > kDrawVocab) throw Error("draw_tokens: the vocabulary is too large.");
  scan_logits(job, stream);
  allow_shared(draw_block_per_row, sizeof(DrawShared));
  launch({.grid = static_cast<unsigned>(job.count),
          .block = kDrawThreads,
          .shared_bytes = sizeof(DrawShared),
          .stream = stream,
          .name = "draw_block_per_row"},
         draw_block_per_row, job);
}

}  // namespace aira::cuda
