// Reads the logits of each draw once, many blocks per row: the maximum penalised score of each
// group of kDrawGroup and, for the log-probability of the token, the sum of the exponentials of
// each chunk.
#include "kernels/device.h"
#include "kernels/history.h"
#include "kernels/kernels.h"
#include "kernels/log_sum.h"
#include "kernels/ranks.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

struct ScanShared {
  float score[kDrawChunk];
  float of_warp[2][kThreads / 32];
};

__global__ void __launch_bounds__(kThreads) scan_block_per_chunk(DrawJob job) {
  grid_dependency_trigger();
  auto& shared = block_shared<ScanShared>();
  const auto draw = static_cast<std::int64_t>(blockIdx.y);
  const DeviceDraw options = job.options[draw];
  if (fills_bucket(options)) return;
  const History history = history_of(job, draw);
  grid_dependency_wait();
  const std::int64_t base = blockIdx.x * kDrawChunk;
  const std::int64_t count = min(kDrawChunk, job.vocab - base);
  const float* logits = job.logits + draw * job.vocab + base;
#pragma unroll
  for (std::int64_t step = 0; step < kDrawChunk; step += kThreads) {
    const std::int64_t i = step + threadIdx.x;
    shared.score[i] = i < count ? logits[i] : score_of(kKeyOfMinusInfinity);
  }
  __syncthreads();
  if (options.log_probability) {
    const ExpSum sum = exp_sum<kThreads>(shared.score, shared.of_warp);
    if (threadIdx.x == 0) job.sums[draw * gridDim.x + blockIdx.x] = sum;
  }
  if (options.penalty != 1.0F) {
    visit_history(job, history, [&](std::int64_t id) {
      id -= base;
      // Computed from the logit, so that a token that occurs twice is penalised once.
      if (id >= 0 && id < count) {
        atomicExch(&shared.score[id], penalised(logits[id], options.penalty));
      }
    });
    __syncthreads();
  }
  const std::int64_t groups = draw_groups(job.vocab);
  const unsigned lane = threadIdx.x % 32;
  for (std::int64_t i = threadIdx.x; i - lane < count; i += kThreads) {
    unsigned greatest = key_of(shared.score[i]);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      greatest = max(greatest, __shfl_xor_sync(kWholeWarp, greatest, distance));
    }
    if (lane == 0) job.maxima[draw * groups + (base + i) / kDrawGroup] = greatest;
  }
}

}  // namespace

void scan_logits(const DrawJob& job, Stream stream) {
  launch({.grid = {static_cast<unsigned>(draw_chunks(job.vocab)), static_cast<unsigned>(job.count)},
          .block = kThreads,
          .stream = stream,
          .name = "scan_block_per_chunk"},
         scan_block_per_chunk, job);
}

}  // namespace aira::cuda
