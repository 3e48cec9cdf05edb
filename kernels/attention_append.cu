// Writes each row's key and value into the cache: one block per row, threads along the padded
// features of all heads, keys then values. Fillers of a bucket write nothing.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 128;

template <typename Storage>
__global__ void __launch_bounds__(kThreads) append_block_per_row(AttentionJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const auto t = static_cast<std::int64_t>(blockIdx.x);
  const std::int64_t slot = job.rows.slot[t];
  if (slot < 0) return;
  const std::int64_t position = job.rows.position[t];
  const std::int64_t page = page_of(job.pages, slot, position);
  if (threadIdx.x == 0) keep_token(job, t, page);
  const std::int64_t width = job.heads * job.head_size;
  const std::int64_t padded = padded_head(job.head_size);
  const float* key = job.qkv + t * 3 * width + width;
  for (std::int64_t i = threadIdx.x; i < job.heads * padded; i += kThreads) {
    const std::int64_t head = i / padded;
    const std::int64_t feature = i % padded;
    const std::int64_t from = head * job.head_size + feature;
    const std::int64_t to = cell_in(job, page, head, position) + feature;
    const bool there = feature < job.head_size;
    from_float(there ? key[from] : 0.0F, static_cast<Storage*>(job.keys)[to]);
    from_float(there ? key[width + from] : 0.0F, static_cast<Storage*>(job.values)[to]);
  }
}

}  // namespace

void attention_append(const AttentionJob& job, Stream stream) {
  const Launch how = {.grid = static_cast<unsigned>(job.count),
                      .block = kThreads,
                      .stream = stream,
                      .name = "append_block_per_row"};
  if (job.dtype == DType::kF32) {
    launch(how, append_block_per_row<float>, job);
  } else {
    launch(how, append_block_per_row<__half>, job);
  }
}

}  // namespace aira::cuda
