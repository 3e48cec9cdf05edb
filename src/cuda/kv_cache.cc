#include "cuda/kv_cache.h"

#include <algorithm>
#include <string>

#include "aira/error.h"
#include "cuda/device.h"

namespace aira::cuda {
namespace {

constexpr std::int64_t kTokenBytes = kPagePositions * sizeof(std::int32_t);  // of a page

}  // namespace

std::int64_t keys_bytes(const KvCache& cache) {
  return cache.pages * page_bytes(cache.heads, cache.head_size, cache.dtype);
}

std::int32_t* tokens_of(const KvCache& cache) {
  return reinterpret_cast<std::int32_t*>(static_cast<std::byte*>(cache.data.get()) +
                                         2 * cache.layers * keys_bytes(cache));
}

KvCache make_cache(KvCache shape) {
  if (shape.head_size > kLargestHead) {
    throw Error(
        "[E509] The model's heads have {} features; the GPU's attention takes up to {}. Use "
        "--device cpu.",
        {std::to_string(shape.head_size), std::to_string(kLargestHead)});
  }
  shape.data = allocate_device(keys_bytes(shape) * 2 * shape.layers + shape.pages * kTokenBytes);
  return shape;
}

void copy_pages(const KvCache& cache, std::span<const PageCopy> copies, Stream stream) {
  CopyPagesJob job{.data = cache.data.get(),
                   .arrays = 2 * cache.layers,
                   .pages = cache.pages,
                   .page_bytes = page_bytes(cache.heads, cache.head_size, cache.dtype)};
  while (!copies.empty()) {
    const auto part = copies.first(std::min<std::size_t>(copies.size(), CopyPagesJob::kMost));
    copies = copies.subspan(part.size());
    job.count = static_cast<std::int64_t>(part.size());
    std::copy(part.begin(), part.end(), job.copies);
    copy_pages(job, stream);
    CopyPagesJob tokens = job;
    tokens.data = tokens_of(cache);
    tokens.arrays = 1;
    tokens.page_bytes = kTokenBytes;
    copy_pages(tokens, stream);
  }
}

}  // namespace aira::cuda
