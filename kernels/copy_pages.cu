// Copies pages of the cache: one block per page and array, threads along its bytes, 16 at a time.
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

__global__ void __launch_bounds__(kThreads) copy_block_per_page(CopyPagesJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const PageCopy copy = job.copies[blockIdx.x];
  const std::int64_t words = job.page_bytes / static_cast<std::int64_t>(sizeof(uint4));
  uint4* array = static_cast<uint4*>(job.data) + blockIdx.y * job.pages * words;
  const uint4* from = array + copy.from * words;
  uint4* to = array + copy.to * words;
  for (std::int64_t i = threadIdx.x; i < words; i += kThreads) to[i] = from[i];
}

}  // namespace

void copy_pages(const CopyPagesJob& job, Stream stream) {
  launch({.grid = {static_cast<unsigned>(job.count), static_cast<unsigned>(job.arrays)},
          .block = kThreads,
          .stream = stream,
          .name = "copy_block_per_page"},
         copy_block_per_page, job);
}

}  // namespace aira::cuda
