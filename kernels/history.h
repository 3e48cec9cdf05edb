// The tokens of a row of a draw, and the repetition penalty on them.
#pragma once

#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"

namespace aira::cuda {

__device__ __forceinline__ bool fills_bucket(const DeviceDraw& options) {
  return options.top_k == 0 && !options.greedy;
}

__device__ __forceinline__ float penalised(float logit, float penalty) {
  return logit < 0.0F ? logit * penalty : __fdiv_rn(logit, penalty);
}

/// Calls visit(id) for the ids of a draw's row, those of its prompt and those drawn.
template <typename Visit>
__device__ __forceinline__ void visit_history(const DrawJob& job, std::int64_t draw,
                                              const Visit& visit) {
  const std::int32_t row = job.output_rows[draw];
  const std::int64_t slot = job.rows.slot[row];
  for (std::int64_t p = threadIdx.x; p <= job.rows.position[row]; p += blockDim.x) {
    visit(job.tokens[page_of(job.pages, slot, p) * kPagePositions + p % kPagePositions]);
  }
}

}  // namespace aira::cuda
