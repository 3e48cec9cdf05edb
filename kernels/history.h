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

/// Where the ids of a draw's row are: all that was sent before the step began, and may be read
/// before the kernel's wait.
struct History {
  std::int64_t slot;
  std::int32_t position;
  std::int64_t page;  // of the thread's first position
};
__device__ __forceinline__ History history_of(const DrawJob& job, std::int64_t draw) {
  const std::int32_t row = job.output_rows[draw];
  const std::int64_t slot = job.rows.slot[row];
  const std::int32_t position = job.rows.position[row];
  const auto first = static_cast<std::int32_t>(threadIdx.x);
  return {slot, position, first <= position ? page_of(job.pages, slot, first) : 0};
}

/// Calls visit(id) for the ids of a draw's row, those of its prompt and those drawn.
template <typename Visit>
__device__ __forceinline__ void visit_history(const DrawJob& job, const History& history,
                                              const Visit& visit) {
  std::int64_t page = history.page;
  for (auto p = static_cast<std::int32_t>(threadIdx.x); p <= history.position;) {
    visit(job.tokens[page * kPagePositions + p % kPagePositions]);
    p += static_cast<std::int32_t>(blockDim.x);
    if (p <= history.position) page = page_of(job.pages, history.slot, p);
  }
}

}  // namespace aira::cuda
