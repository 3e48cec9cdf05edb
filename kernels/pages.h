// Where a row's token and its cells in the paged cache are.
#pragma once

#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {

/// The page that holds `position` of a slot.
__device__ __forceinline__ std::int64_t page_of(const PageArray& pages, std::int64_t slot,
                                                std::int64_t position) {
  return pages.page[slot * pages.width + position / kPagePositions];
}

/// The token of a row that is not a filler.
__device__ __forceinline__ std::int32_t token_of(const RowArrays& rows, std::int64_t t) {
  const std::int32_t token = rows.token[t];
  return token >= 0 ? token : rows.drawn[rows.slot[t]];
}

/// Stores row t's token beside its page.
__device__ __forceinline__ void keep_token(const AttentionJob& job, std::int64_t t,
                                           std::int64_t page) {
  if (job.tokens == nullptr) return;
  job.tokens[page * kPagePositions + job.rows.position[t] % kPagePositions] = token_of(job.rows, t);
}

/// Where a head's features at `position`, which is in `page`, begin in a layer's keys or values.
__device__ __forceinline__ std::int64_t cell_in(const AttentionJob& job, std::int64_t page,
                                                std::int64_t head, std::int64_t position) {
  return ((page * job.heads + head) * kPagePositions + position % kPagePositions) *
         padded_head(job.head_size);
}

}  // namespace aira::cuda
